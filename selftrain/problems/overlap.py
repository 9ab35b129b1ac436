"""Questions that occur in two datasets: a model must not be measured on what it has trained on."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from selftrain.errors import DataError
from selftrain.problems.rows import excerpt
from selftrain.types import Problem

_QUOTES = re.compile(r" ?['’‘`\"“”]")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
#: Punctuation of prose only: operators, brackets and decimal points distinguish formulas.
_PUNCTUATION = re.compile(r"[,;:!?$…]|\.(?!\d)")


def question_key(question: str) -> str:
    """A question without case, blanks and the punctuation of prose, which do not change it."""
    text = unicodedata.normalize("NFKC", question).casefold()
    text = _THOUSANDS.sub("", _QUOTES.sub("", " ".join(text.split())))
    return " ".join(_PUNCTUATION.sub(" ", text).split())


def overlap(train: Sequence[Problem], evaluation: Sequence[Problem]) -> list[tuple[Problem, Problem]]:
    """Pairs (problem of `train`, problem of `evaluation`) with the same question, in the order of `evaluation`; of
    several in `train` the first."""
    trained: dict[str, Problem] = {}
    for problem in train:
        trained.setdefault(question_key(problem.question), problem)
    keys = ((question_key(problem.question), problem) for problem in evaluation)
    return [(trained[key], problem) for key, problem in keys if key in trained]


def check_overlap(
    train: Sequence[Problem], evaluation: Sequence[Problem], allow: bool = False
) -> list[tuple[Problem, Problem]]:
    """The overlap, if it is empty or allowed.

    Raises:
        DataError: the number of shared questions and the first three of them.
    """
    shared = overlap(train, evaluation)
    if shared and not allow:
        examples = (f"{trained.id} and {tested.id}: {excerpt(tested.question, 100)}" for trained, tested in shared[:3])
        raise DataError(
            f"{len(shared)} of {len(evaluation)} evaluation questions are also trained on:\n  " + "\n  ".join(examples),
            "On a question that it has trained on, a model shows what it remembers, not what it can do.",
            "Take another split, remove these rows, or pass --allow_overlap if that is what you want to measure.",
        )
    return shared
