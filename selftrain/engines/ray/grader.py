"""Graders on the cluster: opened there by name, as they are here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from selftrain.engines.ray.grader_spec import GraderSpec
from selftrain.engines.workers import run_tasks
from selftrain.graders import Grader, open_grader
from selftrain.graders.code.config import CodeConfig
from selftrain.types import Problem, Response, Score

if TYPE_CHECKING:
    from selftrain.engines.ray.workers import RayWorker, RayWorkers

#: Responses that a worker grades at once; those to one problem stay together.
RESPONSES_PER_TASK = 8


class RayGrader(Grader):
    """A grader that scores each response independently, on all workers.

    Args:
        grader: the same one in this process, for everything but grading, and for that while there is no worker.
        spec: what a worker opens it from.
        evaluation: whether `grader` is the one for evaluations.
    """

    scores_independently = True

    def __init__(self, grader: Grader, workers: RayWorkers, spec: GraderSpec, *, evaluation: bool = False) -> None:
        self.name = grader.name
        self._grader, self._workers, self._spec, self._evaluation = grader, workers, spec, evaluation

    def grade(self, responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
        def remote(worker: RayWorker, task: Sequence[int]) -> list[Score]:
            chosen = [responses[place] for place in task]
            ids = {response.prompt.problem_id for response in chosen}
            known = {problem_id: problems[problem_id] for problem_id in ids if problem_id in problems}
            found: list[Score] = worker.call(
                "grade", spec=self._spec, responses=chosen, problems=known, evaluation=self._evaluation
            )
            return found

        def local(task: Sequence[int]) -> list[Score]:
            return self._grader.grade([responses[place] for place in task], problems)

        def describe(task: Sequence[int]) -> str:
            return f"grading responses to {responses[task[0]].prompt.problem_id!r}"

        tasks = list(_tasks(responses))
        results = run_tasks(tasks, self._workers, remote=remote, local=local, describe=describe)
        by_place = dict(zip(chain.from_iterable(tasks), chain.from_iterable(results), strict=True))
        return [by_place[place] for place in range(len(responses))]

    def evaluation_grader(self) -> Grader:
        return RayGrader(self._grader.evaluation_grader(), self._workers, self._spec, evaluation=True)

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


def open_ray_grader(
    workers: RayWorkers, reward_funcs: Any, reward_weights: Sequence[float] | None, code: CodeConfig | None
) -> Grader:
    """As `open_grader`; on the cluster where the grader has a name and scores each response independently.

    A function that was passed in exists in this process only, and a grader that compares responses needs them all.
    """
    grader = open_grader(reward_funcs, reward_weights=reward_weights, code=code)
    names = [reward_funcs] if isinstance(reward_funcs, str) or callable(reward_funcs) else list(reward_funcs)
    if not grader.scores_independently or not all(isinstance(name, str) for name in names):
        return grader
    weights = None if reward_weights is None else tuple(reward_weights)
    return RayGrader(grader, workers, GraderSpec(tuple(names), weights, code or CodeConfig()))


def _tasks(responses: Sequence[Response]) -> Iterator[list[int]]:
    """Places in `responses`."""
    by_problem: dict[str, list[int]] = {}
    for place, response in enumerate(responses):
        by_problem.setdefault(response.prompt.problem_id, []).append(place)
    task: list[int] = []
    for places in by_problem.values():
        task += places
        if len(task) >= RESPONSES_PER_TASK:
            yield task
            task = []
    if task:
        yield task
