"""Judges that are asked on the cluster: the same ones, opened there by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from selftrain.engines.ray.grader_spec import GraderSpec
from selftrain.engines.workers import answer_all
from selftrain.graders import Grader, open_grader
from selftrain.graders.code.config import CodeConfig
from selftrain.types import Problem, Response, Score

if TYPE_CHECKING:
    from selftrain.engines.ray.workers import RayWorker, RayWorkers

#: Answers that a worker judges at once, all answers to one problem together.
PIECE = 8


class RayGrader(Grader):
    """A judge whose verdicts hang on one answer alone, asked on all workers.

    Args:
        judge: the same one here, for everything but grading, and for that as long as no worker is there.
        examines: whether it is the examiner of `spec`.
    """

    scores_independently = True

    def __init__(self, grader: Grader, workers: RayWorkers, spec: GraderSpec, *, examines: bool = False) -> None:
        self.name = grader.name
        self._grader, self._workers, self._spec, self._examines = grader, workers, spec, examines

    def grade(self, responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
        def ask(worker: RayWorker, piece: Sequence[int]) -> list[Score]:
            some = [responses[place] for place in piece]
            ids = {one.prompt.problem_id for one in some}
            known = {one: problems[one] for one in ids if one in problems}
            found: list[Score] = worker.call("grade", self._spec, self._examines, some, known)
            return found

        def here(piece: Sequence[int]) -> list[Score]:
            return self._grader.grade([responses[place] for place in piece], problems)

        def told(piece: Sequence[int]) -> str:
            return f"judging answers to {responses[piece[0]].prompt.problem_id!r}"

        pieces = list(_pieces(responses))
        scores = chain.from_iterable(answer_all(pieces, self._workers, ask, here, told))
        by_place = dict(zip(chain.from_iterable(pieces), scores, strict=True))
        return [by_place[place] for place in range(len(responses))]

    def evaluation_grader(self) -> Grader:
        return RayGrader(self._grader.evaluation_grader(), self._workers, self._spec, examines=True)

    def gold_completion(self, problem: Problem) -> str | None:
        return self._grader.gold_completion(problem)

    @property
    def metadata(self) -> dict[str, str]:
        return self._grader.metadata

    @property
    def warning(self) -> str:
        return self._grader.warning

    def close(self) -> None:
        self._grader.close()


def open_spread(
    workers: RayWorkers, reward_funcs: Any, reward_weights: Sequence[float] | None, code: CodeConfig | None
) -> Grader:
    """As `open_grader` does; asked on the cluster where a verdict hangs on one answer, and the judge has a name.

    A function that was handed in lives in this process only. A judge that compares answers is asked here.
    """
    grader = open_grader(reward_funcs, reward_weights=reward_weights, code=code)
    names = [reward_funcs] if isinstance(reward_funcs, str) or callable(reward_funcs) else list(reward_funcs)
    if not grader.scores_independently or not all(isinstance(one, str) for one in names):
        return grader
    weights = None if reward_weights is None else tuple(reward_weights)
    return RayGrader(grader, workers, GraderSpec(tuple(names), weights, code or CodeConfig()))


def _pieces(responses: Sequence[Response]) -> Iterator[list[int]]:
    """Places in `responses`."""
    by_problem: dict[str, list[int]] = {}
    for place, response in enumerate(responses):
        by_problem.setdefault(response.prompt.problem_id, []).append(place)
    piece: list[int] = []
    for places in by_problem.values():
        piece += places
        if len(piece) >= PIECE:
            yield piece
            piece = []
    if piece:
        yield piece
