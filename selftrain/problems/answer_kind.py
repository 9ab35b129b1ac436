"""What kind of answer a data set asks for: what prompts ask for, and which worked examples fit."""

from __future__ import annotations

import re

from selftrain.problems.problem_set import ProblemSet
from selftrain.types import AnswerKind

#: 18, -3, 1,400, 0.5, .5, 3/4, $12.50, 30%: what a person would call a number.
_NUMBER = re.compile(r"[-+]?\$?(?:\d[\d,]*(?:\.\d*)?|\.\d+)(?:/\d+)?\s*(?:\\?%)?")
#: Share of references that have to be numbers. Sets of numbers have a few ranges or units among them; ours.
_MOSTLY = 0.95
_BY_GRADER: dict[str, AnswerKind] = {"choice": "letter", "code": "code", "exact": "text"}


def answer_kind(grader: str, *sets: ProblemSet) -> AnswerKind | None:
    """The kind of answer that a grader looks for.

    Args:
        grader: the name of one of ours, or anything else.
        sets: whose references are looked at where the grader takes numbers and formulas alike.

    Returns:
        None for a grader that is not ours: how it reads answers is not known.
    """
    if grader != "math":
        return _BY_GRADER.get(grader)
    references = [p.reference.strip() for problems in sets for p in problems if p.reference is not None]
    numbers = sum(_NUMBER.fullmatch(reference) is not None for reference in references)
    return "number" if references and numbers >= _MOSTLY * len(references) else "formula"
