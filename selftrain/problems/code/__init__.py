"""Programming tasks: the question of a row of HumanEval, MBPP or APPS, and the tests that decide.

The tests of a task are two disjoint groups. One gives the reward; the other is held back and never does, which reveals
programs that are right only on the tests that reward them. In evaluations both count.
"""

from selftrain.problems.code.layouts import LAYOUTS, CodeLayout, find_layout, read_task
from selftrain.problems.code.task import Case, CodeTask, Kind, NoTestsError, Tests

__all__ = ["LAYOUTS", "Case", "CodeLayout", "CodeTask", "Kind", "NoTestsError", "Tests", "find_layout", "read_task"]
