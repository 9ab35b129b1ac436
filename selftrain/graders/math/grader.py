"""The judge named "math": a stated answer against the gold answer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Literal

from selftrain.graders.base import Grader, problem_of
from selftrain.graders.math.lenient import grade_leniently
from selftrain.graders.math.strict import UnreadableGoldError, grade_text, read_gold
from selftrain.graders.math.worker import MathWorker
from selftrain.types import Problem, Response, Score

Strictness = Literal["strict", "lenient"]


class MathGrader(Grader):
    """1.0 for the gold answer, 0.0 for any other or none, None where the gold itself cannot be read.

    The rules are written in `math_answer` and `lenient`, side by side in docs/judging.md. math-verify is started when
    the first formula comes along, before any clock runs: golds that are plain numbers or words never need it. Answers
    that were compared before are not compared again: the last 65,536 pairs of gold and answer are remembered.

    Args:
        wall_limit: seconds that math-verify has for one comparison.
        strictness: "strict" is what training needs, where a wrong "right" is learnt; "lenient" is for reports.
    """

    scores_independently = True

    def __init__(self, wall_limit: float = 1.0, strictness: Strictness = "strict") -> None:
        self.name = "math" if strictness == "strict" else f"math:{strictness}"
        self._grader_text = grade_text if strictness == "strict" else grade_leniently
        self._worker = MathWorker(wall_limit)
        self._shows_lenient = False

    def grade(self, responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
        pairs = [(response, problem_of(response, problems)) for response in responses]
        if any(_needs_math_verify(problem) for _, problem in pairs):
            self._worker.start()
        return [self._grade_one(response, problem) for response, problem in pairs]

    def evaluation_grader(self) -> Grader:
        """Shows the lenient verdict beside the strict one, in `Score.extra_scores["lenient"]`."""
        evaluation_grader = copy(self)
        evaluation_grader._shows_lenient = self.name == "math"
        return evaluation_grader

    def close(self) -> None:
        self._worker.close()

    def _grade_one(self, response: Response, problem: Problem) -> Score:
        started = time.perf_counter()
        text = whole_words(response)
        score = self._grader_text(problem.reference, text, self._worker)
        if self._shows_lenient and score.value is not None:
            # What the strict rules call right the lenient ones do as well.
            lenient = score if score.value else grade_leniently(problem.reference, text, self._worker)
            score = replace(score, extra_scores={} if lenient.value is None else {"lenient": lenient.value})
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
