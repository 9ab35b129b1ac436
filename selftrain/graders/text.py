"""Graders of text answers: an option's letter, or words that must match exactly."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence

from selftrain.graders.base import Grader, problem_of
from selftrain.graders.extract import ANOTHER_OPTION, extract_answer
from selftrain.types import Problem, Response, Score

#: B, (B), B), B., "B) 125", "(B) the blue one"; not a word that begins with a letter.
_OPTION = re.compile(r"\s*\(?([A-Z])(?:[).:]|\s*$)")


def extract_option(text: str) -> str | None:
    """The option letter that the stated answer is or begins with; None if it names several ("(B) or (C)")."""
    answer = extract_answer(text)
    match = _OPTION.match(answer) if answer is not None else None
    return match[1] if match and not ANOTHER_OPTION.search(match.string, match.end()) else None


def extract_after_phrase(text: str) -> str | None:
    """BIG-Bench Hard's rule: what follows the last "the answer is", without one full stop; else the stated answer."""
    _, phrase, rest = text.rpartition("the answer is")
    if not phrase:
        return extract_answer(text)
    return rest.strip().splitlines()[0].removesuffix(".").strip() if rest.strip() else None


class TextGrader(Grader):
    """1.0 if the extracted answer equals what `read_gold` reads from the reference; 0.0 if it differs or is missing.

    Args:
        extract: the answer in a completion.
        read_gold: the answer in a reference.
    """

    scores_independently = True

    def __init__(self, name: str, extract: Callable[[str], str | None], read_gold: Callable[[str], str | None]) -> None:
        self.name, self._extract, self._read_gold = name, extract, read_gold

    def grade(self, responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
        return [self._grade_one(response, problem_of(response, problems)) for response in responses]

    def _grade_one(self, response: Response, problem: Problem) -> Score:
        start = time.perf_counter()
        gold = None if problem.reference is None else self._read_gold(problem.reference)
        answer = self._extract(response.text)
        value: float | None
        value, reason = 1.0, "equal"
        if gold is None:
            value, reason = None, f"gold answer cannot be read: {problem.reference!r}"
        elif answer is None:
            value, reason = 0.0, "no answer found"
        elif answer != gold:
            value, reason = 0.0, f"{answer} is not {gold}"
        return Score(value, answer, reason, time.perf_counter() - start)


def choice_grader() -> TextGrader:
    """The grader "choice": an option's letter."""

    def gold_letter(gold: str) -> str | None:
        match = _OPTION.match(gold)
        return match[1] if match else None

    return TextGrader("choice", extract_option, gold_letter)


def exact_grader() -> TextGrader:
    """The grader "exact": the same text, as BIG-Bench Hard is scored."""
    return TextGrader("exact", extract_after_phrase, lambda gold: gold.strip() or None)
