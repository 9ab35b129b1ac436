"""The grader "math": a stated answer against the gold answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from selftrain.graders.base import Grader, problem_of
from selftrain.graders.completion import readable_text
from selftrain.graders.math.compare import Comparer
from selftrain.graders.math.lenient import grade_leniently
from selftrain.graders.math.strict import UnreadableGoldError, Verdict, grade_strictly, read_gold
from selftrain.graders.math.worker import MathWorker
from selftrain.types import Problem, Response, Score

Strictness = Literal["strict", "lenient", "both"]


class MathGrader(Grader):
    """1.0 for the gold answer, 0.0 for any other or none, None if the gold itself cannot be read.

    The rules are in `strict` and `lenient`, side by side in docs/grading.md. math-verify starts with the first formula
    among the golds, before any clock runs: golds that are plain numbers or words never need it.

    Args:
        strictness: "strict" for training, where a false "right" is learned; "lenient" for reports; "both" for the
            strict verdict with the lenient one in `Score.extra_scores["lenient"]`.
        worker: math-verify; by default a process of its own, which `close` ends.
    """

    scores_independently = True

    def __init__(self, strictness: Strictness = "strict", worker: MathWorker | None = None) -> None:
        self.name = "math:lenient" if strictness == "lenient" else "math"
        self._strictness, self._worker = strictness, worker or MathWorker()

    def grade(self, responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
        pairs = [(response, problem_of(response, problems)) for response in responses]
        if any(_needs_math_verify(problem) for _, problem in pairs):
            self._worker.start()
        return [self._grade_one(response, problem) for response, problem in pairs]

    def evaluation_grader(self) -> Grader:
        """Adds the lenient verdict to the strict one."""
        return self if self._strictness == "lenient" else MathGrader("both", self._worker)

    def close(self) -> None:
        self._worker.close()

    def _grade_one(self, response: Response, problem: Problem) -> Score:
        start = time.perf_counter()
        found = _RULES[self._strictness](problem.reference, readable_text(response), self._worker)
        extra_scores = {} if found.lenient is None else {"lenient": found.lenient}
        seconds = time.perf_counter() - start
        return Score(found.value, found.answer, found.reason, seconds=seconds, extra_scores=extra_scores)


def _grade_both(reference: str | None, text: str, comparer: Comparer) -> Verdict:
    strict = grade_strictly(reference, text, comparer)
    if strict.value is None:
        return strict
    # What is strictly right is leniently right, too.
    return strict._replace(lenient=1.0 if strict.value else grade_leniently(reference, text, comparer).value)


_RULES: Mapping[Strictness, Callable[[str | None, str, Comparer], Verdict]] = {
    "strict": grade_strictly,
    "lenient": grade_leniently,
    "both": _grade_both,
}


def _needs_math_verify(problem: Problem) -> bool:
    try:
        return read_gold(problem.reference).is_formula
    except UnreadableGoldError:
        return False
