"""An engine whose units are answered on the cluster."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from itertools import count
from typing import Any

from selftrain.engines.base import Before, Engine, Save
from selftrain.engines.ray.actor import Computes, computes
from selftrain.engines.ray.weights import Weights
from selftrain.engines.ray.workers import RayWorker, RayWorkers
from selftrain.engines.workers import answer_all
from selftrain.engines.workers.requests import Question, problems_of
from selftrain.models.logprobs import torch_threads
from selftrain.types import Prompt, Response, SamplingParams

_NUMBERS = count()


class RayEngine(Before):
    """Any engine that answers from the live weights, and workers that answer as it does.

    Everything but `generate_units` is done here: texts are scored where the weights are.

    Args:
        slow: plans and scores; answers as long as no worker is there.
        loading: what `Actor.take_model` loads the same engine by.
    """

    def __init__(self, slow: Engine, workers: RayWorkers, loading: Mapping[str, Any]) -> None:
        self.slow, self._workers, self._loading = slow, workers, dict(loading)
        # Two learners may have one name: the live model, and the same one untouched.
        self._key = f"{slow.name}/{next(_NUMBERS)}"
        self._save: Save | None = None
        self._weights: Weights | None = None
        self._computes = Computes("", ())

    @property
    def how(self) -> str:
        return f"{self.slow.how}, by workers on a Ray cluster"

    def plan(self, prompts: Sequence[Prompt], n: int) -> list[list[int]]:
        return self.slow.plan(prompts, n)

    def generate(
        self,
        prompts: Sequence[Prompt],
        n: int,
        sampling: SamplingParams,
        key: str,
        weights_version: int,
        first: int = 0,
    ) -> list[Response]:
        return self.slow.generate(prompts, n, sampling, key, weights_version, first)

    def generate_units(
        self, units: Sequence[Sequence[Prompt]], n: int, sampling: SamplingParams, key: str, weights_version: int,
        first: int = 0,
    ) -> Generator[list[Response], None, None]:  # fmt: skip
        if not units:
            return
        question = Question(n, sampling, key, weights_version, first)
        weights, ours = self._newest()

        def ask(worker: RayWorker, unit: Sequence[Prompt]) -> list[Response]:
            theirs = worker.hold(self._key, self._loading, weights)
            if theirs is not None:
                self._compare(ours, theirs, worker)
            rows = worker.call("answer", self._key, question.of(unit))
            return question.responses(rows, unit, self.prompt_text, self.name)

        def here(unit: Sequence[Prompt]) -> list[Response]:
            # On as many threads as a worker has: the last bits of large sums differ by how many add them up.
            with torch_threads(self._workers.settings.ray_worker_cpus):
                return self.slow.generate(unit, n, sampling, key, weights_version, first)

        yield from answer_all(units, self._workers, ask, here, problems_of)

    def logprob(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        return self.slow.logprob(prompts, completions)

    def renew(self, save: Save) -> None:
        """Nothing is sent before it is needed: the weights stay as they are until the next `rest`."""
        self.slow.renew(save)
        self._save = save

    def rest(self) -> None:
        self.slow.rest()

    def close(self) -> None:
        self.slow.close()

    def _newest(self) -> tuple[Weights, Computes]:
        """The weights as they are, for all workers, and what they compute here."""
        if self._weights is not None and self._save is None:
            return self._weights, self._computes
        if self._weights is None:
            self._weights = Weights.of_model(self._loading["model"])
        if self._save is not None:
            self._weights, self._save = self._weights.then(self._save), None
        with torch_threads(self._workers.settings.ray_worker_cpus):
            self._computes = computes(self.slow)
        return self._weights, self._computes

    def _compare(self, ours: Computes, theirs: Computes, worker: RayWorker) -> None:
        if ours.how != theirs.how:
            self._workers.say_once(
                f"ray: {self.name} is answered by {theirs.how} on {worker.address}, and by {ours.how} here"
            )
        if ours.logprobs != theirs.logprobs:
            self._workers.say_once(
                f"ray: {worker.address} computes {self.name} to other last bits than this machine; its answers are as "
                "good, but without it the run would not come to the same bytes"
            )
