"""The judge named "math": a stated answer against the gold answer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Literal

from selftrain.grading.judge import Judge, problem_of
from selftrain.grading.lenient import judge_leniently
from selftrain.grading.math_answer import UnreadableGoldError, judge_text, read_gold
from selftrain.grading.math_worker import MathWorker
from selftrain.types import Problem, Response, Score

Strictness = Literal["strict", "lenient"]


class MathJudge(Judge):
    """1.0 for the gold answer, 0.0 for any other or none, None where the gold itself cannot be read.

    The rules are written in `math_answer` and `lenient`, side by side in docs/judging.md. math-verify is started when
    the first formula comes along, before any clock runs: golds that are plain numbers or words never need it. Answers
    that were compared before are not compared again: the last 65,536 pairs of gold and answer are remembered.

    Args:
        wall_limit: seconds that math-verify has for one comparison.
        strictness: "strict" is what training needs, where a wrong "right" is learnt; "lenient" is for reports.
    """

    one_by_one = True

    def __init__(self, wall_limit: float = 1.0, strictness: Strictness = "strict") -> None:
        self.name = "math" if strictness == "strict" else f"math:{strictness}"
        self._judge_text = judge_text if strictness == "strict" else judge_leniently
        self._worker = MathWorker(wall_limit)
        self._shows_lenient = False

    def grade(self, responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
        pairs = [(response, problem_of(response, problems)) for response in responses]
        if any(_needs_math_verify(problem) for _, problem in pairs):
            self._worker.start()
        return [self._grade_one(response, problem) for response, problem in pairs]

    def examiner(self) -> Judge:
        """Shows the lenient verdict beside the strict one, in `Score.others["lenient"]`."""
        examiner = copy(self)
        examiner._shows_lenient = self.name == "math"
        return examiner

    def close(self) -> None:
        self._worker.close()

    def _grade_one(self, response: Response, problem: Problem) -> Score:
        started = time.perf_counter()
        text = whole_words(response)
        score = self._judge_text(problem.reference, text, self._worker)
        if self._shows_lenient and score.value is not None:
            # What the strict rules call right the lenient ones do as well.
            lenient = score if score.value else judge_leniently(problem.reference, text, self._worker)
            score = replace(score, others={} if lenient.value is None else {"lenient": lenient.value})
        return replace(score, seconds=time.perf_counter() - started)


def _needs_math_verify(problem: Problem) -> bool:
    try:
        return read_gold(problem.reference).is_formula
    except UnreadableGoldError:
        return False


def whole_words(response: Response) -> str:
    """The text without the word it was cut off in: `#### 14` may have been going to be 1440."""
    text = response.text
    if not response.truncated or not text or text[-1].isspace():
        return text
    return text[: len(text) - len(text.split()[-1])]
