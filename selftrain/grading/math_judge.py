"""The judge named "math": a stated answer against the gold answer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from selftrain.grading.judge import Judge, problem_of
from selftrain.grading.math_answer import judge_text
from selftrain.grading.math_worker import MathWorker
from selftrain.types import Problem, Response, Score


class MathJudge(Judge):
    """1.0 for the gold answer, 0.0 for any other or none, None where the gold itself cannot be read.

    The rule is written in `math_answer`. math-verify is started when the first formula comes along: golds that
    are plain numbers or words never need it.

    Args:
        wall_limit: seconds that math-verify has for one comparison.
    """

    def __init__(self, wall_limit: float = 1.0) -> None:
        self.name = "math"
        self._worker = MathWorker(wall_limit)

    def grade(self, responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
        return [self._grade_one(response, problem_of(response, problems)) for response in responses]

    def close(self) -> None:
        self._worker.close()

    def _grade_one(self, response: Response, problem: Problem) -> Score:
        started = time.perf_counter()
        score = judge_text(problem.reference, whole_words(response), self._worker)
        return replace(score, seconds=time.perf_counter() - started)


def whole_words(response: Response) -> str:
    """The text without the word it was cut off in: `#### 14` may have been going to be 1440."""
    text = response.text
    if not response.truncated or not text or text[-1].isspace():
        return text
    return text[: len(text) - len(text.split()[-1])]
