"""Judges that are asked on the cluster: the same ones, opened there by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from selftrain.code_tasks import CodeJudging
from selftrain.grading import Judge, open_judge
from selftrain.pool import answer_all
from selftrain.types import Problem, Response, Score

if TYPE_CHECKING:
    from selftrain.cluster.workers import RayWorker, Workers

#: Answers that a worker judges at once, all answers to one problem together.
PIECE = 8


@dataclass(frozen=True)
class JudgeSpec:
    """What `open_judge` is called with, in a form that travels."""

    names: tuple[str, ...]
    weights: tuple[float, ...] | None
    code: CodeJudging

    def open(self, programs_at_once: int | None = None) -> Judge:
        names = self.names[0] if len(self.names) == 1 else self.names
        return open_judge(names, reward_weights=self.weights, code=self.code, programs_at_once=programs_at_once)


class SpreadJudge(Judge):
    """A judge whose verdicts hang on one answer alone, asked on all workers.

    Args:
        judge: the same one here, for everything but grading, and for that as long as no worker is there.
        examines: whether it is the examiner of `spec`.
    """

    one_by_one = True

    def __init__(self, judge: Judge, workers: Workers, spec: JudgeSpec, *, examines: bool = False) -> None:
        self.name = judge.name
        self._judge, self._workers, self._spec, self._examines = judge, workers, spec, examines

    def grade(self, responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
        def ask(worker: RayWorker, piece: Sequence[int]) -> list[Score]:
            some = [responses[place] for place in piece]
            ids = {one.prompt.problem_id for one in some}
            known = {one: problems[one] for one in ids if one in problems}
            found: list[Score] = worker.call("grade", self._spec, self._examines, some, known)
            return found

        def here(piece: Sequence[int]) -> list[Score]:
            return self._judge.grade([responses[place] for place in piece], problems)

        def told(piece: Sequence[int]) -> str:
            return f"judging answers to {responses[piece[0]].prompt.problem_id!r}"

        pieces = list(_pieces(responses))
        scores = chain.from_iterable(answer_all(pieces, self._workers, ask, here, told))
        by_place = dict(zip(chain.from_iterable(pieces), scores, strict=True))
        return [by_place[place] for place in range(len(responses))]

    def examiner(self) -> Judge:
        return SpreadJudge(self._judge.examiner(), self._workers, self._spec, examines=True)

    def gold(self, problem: Problem) -> str | None:
        return self._judge.gold(problem)

    @property
    def facts(self) -> dict[str, str]:
        return self._judge.facts

    @property
    def warning(self) -> str:
        return self._judge.warning

    def close(self) -> None:
        self._judge.close()


def open_spread(
    workers: Workers, reward_funcs: Any, reward_weights: Sequence[float] | None, code: CodeJudging | None
) -> Judge:
    """As `open_judge` does; asked on the cluster where a verdict hangs on one answer, and the judge has a name.

    A function that was handed in lives in this process only. A judge that compares answers is asked here.
    """
    judge = open_judge(reward_funcs, reward_weights=reward_weights, code=code)
    names = [reward_funcs] if isinstance(reward_funcs, str) or callable(reward_funcs) else list(reward_funcs)
    if not judge.one_by_one or not all(isinstance(one, str) for one in names):
        return judge
    weights = None if reward_weights is None else tuple(reward_weights)
    return SpreadJudge(judge, workers, JudgeSpec(tuple(names), weights, code or CodeJudging()))


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
