"""The same question in two sets: what is trained on must not be what is measured."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from selftrain.errors import DataError
from selftrain.problems.rows import excerpt
from selftrain.types import Problem

_QUOTES = re.compile(r" ?['’‘`\"“”]")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
#: Marks of prose only: signs of operation, brackets and decimal points tell formulas apart.
_MARKS = re.compile(r"[,;:!?$…]|\.(?!\d)")


def question_key(question: str) -> str:
    """A question without what does not change it: capitals, blanks, and the punctuation of prose."""
    text = unicodedata.normalize("NFKC", question).casefold()
    text = _THOUSANDS.sub("", _QUOTES.sub("", " ".join(text.split())))
    return " ".join(_MARKS.sub(" ", text).split())


def overlap(train: Sequence[Problem], evaluation: Sequence[Problem]) -> list[tuple[Problem, Problem]]:
    """For each problem of `evaluation` that asks what one of `train` asks, the pair of them (the first such of
    `train`), in the order of `evaluation`."""
    trained: dict[str, Problem] = {}
    for problem in train:
        trained.setdefault(question_key(problem.question), problem)
    keys = ((question_key(problem.question), problem) for problem in evaluation)
    return [(trained[key], problem) for key, problem in keys if key in trained]


def refuse_overlap(
    train: Sequence[Problem], evaluation: Sequence[Problem], allow: bool = False
) -> list[tuple[Problem, Problem]]:
    """The overlap, where it is empty or allowed.

    Raises DataError otherwise, with the number of shared questions and the first three of them.
    """
    shared = overlap(train, evaluation)
    if shared and not allow:
        examples = (f"{ours.id} and {theirs.id}: {excerpt(theirs.question, 100)}" for ours, theirs in shared[:3])
        raise DataError(
            f"{len(shared)} of {len(evaluation)} evaluation questions are also trained on:\n  " + "\n  ".join(examples),
            "A model that has trained on the question shows what it remembers, not what it can do.",
            "Take another split, remove these rows, or pass --allow_overlap if that is what you want to measure.",
        )
    return shared
