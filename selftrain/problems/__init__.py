"""Problems to sample on: loaders, the registry of the papers' sets, and the guard against training on the test."""

from selftrain.problems.load import load_problems
from selftrain.problems.overlap import overlap, refuse_overlap
from selftrain.problems.problem_set import ProblemSet
from selftrain.problems.registry import KnownSet, registered
from selftrain.problems.shapes import Grader

__all__ = ["Grader", "KnownSet", "ProblemSet", "load_problems", "overlap", "refuse_overlap", "registered"]
