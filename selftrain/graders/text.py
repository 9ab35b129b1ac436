"""Judges for answers that are text: an option's letter, or words to be matched exactly."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence

from selftrain.graders.base import Grader, problem_of
from selftrain.graders.extract import read_answer
from selftrain.types import Problem, Response, Score

#: B, (B), B), B., "B) 125", "(B) the blue one"; not a word that begins with a letter.
_LETTER = re.compile(r"\s*\(?([A-Z])(?:[).:]|\s*$)")
_ANOTHER = re.compile(r"(?<![\w(])\(?[A-Z]\)")


def read_letter(text: str) -> str | None:
    """The option letter that the stated answer is or begins with; None where it names several."""
    answer = read_answer(text)
    found = _LETTER.match(answer) if answer is not None else None
    # "(B) or (C)" and "A) B) C)" are no choice.
    return found.group(1) if found and not _ANOTHER.search(found.string, found.end()) else None


def read_after_phrase(text: str) -> str | None:
    """BIG-Bench Hard's rule: what follows the last "the answer is", without one full stop; else the stated answer."""
    _, phrase, rest = text.rpartition("the answer is")
    if not phrase:
        return read_answer(text)
    return rest.strip().splitlines()[0].removesuffix(".").strip() if rest.strip() else None


class TextGrader(Grader):
    """1.0 where what is read equals what is read from the gold answer, 0.0 where it does not or nothing is read.

    Args:
        read: finds the answer in a completion.
        read_gold: the same for the gold answer as the data states it.
    """

    scores_independently = True

    def __init__(self, name: str, read: Callable[[str], str | None], read_gold: Callable[[str], str | None]) -> None:
        self.name, self._read, self._read_gold = name, read, read_gold

    def grade(self, responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
        return [self._grade_one(response, problem_of(response, problems)) for response in responses]

    def _grade_one(self, response: Response, problem: Problem) -> Score:
        began = time.perf_counter()
        gold = None if problem.reference is None else self._read_gold(problem.reference)
        answer = self._read(response.text)
        value: float | None
        value, reason = 1.0, "equal"
        if gold is None:
            value, reason = None, f"gold answer cannot be read: {problem.reference!r}"
        elif answer is None:
            value, reason = 0.0, "no answer found"
        elif answer != gold:
            value, reason = 0.0, f"{answer} is not {gold}"
        return Score(value, answer, reason, time.perf_counter() - began)


def choice_grader() -> TextGrader:
    """The judge named "choice": an option's letter."""

    def gold_letter(gold: str) -> str | None:
        found = _LETTER.match(gold)
        return found.group(1) if found else None

    return TextGrader("choice", read_letter, gold_letter)


def exact_grader() -> TextGrader:
    """The judge named "exact": the same text, as BIG-Bench Hard is scored."""
    return TextGrader("exact", read_after_phrase, lambda gold: gold.strip() or None)
