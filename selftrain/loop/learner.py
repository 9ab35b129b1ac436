"""A model that answers, and learns: one engine and one trainer around the same weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from selftrain.engines.base import Engine
from selftrain.models.placement import DeviceSlot
from selftrain.storage import AnswerCache
from selftrain.storage.rows import response_row, responses_of
from selftrain.training.base import NO_HOOKS, Trainer, TrainingHooks, TrainingJob, TrainingReport, ValidationMetric
from selftrain.types import Prompt, Response, SamplingParams

#: Called with the answers of each finished unit.
OnUnit = Callable[[Sequence[Response]], None]


class Learner:
    """
    Args:
        engine: answers from the live weights.
        trainer: trains the same live weights.
        base: folder or hub id of the untouched weights, which `start_from="base"` goes back to.
        memory: what was answered before is taken from it.
        seat: where it works; by default the weights stay where they are.
    """

    def __init__(
        self,
        engine: Engine,
        trainer: Trainer,
        base: str,
        answer_cache: AnswerCache | None = None,
        seat: DeviceSlot | None = None,
    ) -> None:
        self.engine, self.trainer, self.base, self._seat = engine, trainer, base, seat or DeviceSlot("cpu")
        self.answer_cache = answer_cache or AnswerCache()
        #: The round whose weights answer now; 0 is the untouched model.
        self.weights_version = 0
        self._on_unit: OnUnit | None = None
        self._how = engine.how

    @property
    def name(self) -> str:
        return self.engine.name

    def sample(
        self, prompts: Sequence[Prompt], n: int, sampling: SamplingParams, key: str, first: int = 0
    ) -> list[Response]:
        """Asks unit by unit, as planned; gives the answers back in prompt order, sample indices from `first` on."""
        answers: list[list[Response]] = [[] for _ in prompts]
        plan = self.engine.plan(prompts, n)
        units = [[prompts[i] for i in unit] for unit in plan]
        questions = [self._question(unit, n, sampling, key, first) for unit in units]
        new = [unit for unit, known in zip(units, self.answer_cache.knows(questions), strict=True) if not known]
        if new:
            self._seat.take(self.trainer.to)
        asked = f"{key}/{self.name}"
        with closing(self.engine.generate_units(new, n, sampling, asked, self.weights_version, first)) as drawn:
            for indices, unit, question in zip(plan, units, questions, strict=True):
                rows = self.answer_cache(question, lambda: [response_row(response) for response in next(drawn)])
                responses = responses_of(rows, unit, n, self.engine.prompt_text, self.name)
                for place, index in enumerate(indices):
                    answers[index] = responses[place * n : (place + 1) * n]
                if self._on_unit is not None:
                    self._on_unit(responses)
        return [response for of_prompt in answers for response in of_prompt]

    def _question(self, unit: Sequence[Prompt], n: int, sampling: SamplingParams, key: str, first: int) -> str:
        asked = repr([(prompt.problem_id, prompt.peer_answers) for prompt in unit] + [n, sampling, first]).encode()
        return f"{key}/{self.name}/{hashlib.blake2b(asked, digest_size=12).hexdigest()}"

    def news(self) -> list[str]:
        """What has changed in how it answers since this was last asked, in words."""
        before, self._how = self._how, self.engine.how
        return [] if self._how == before else [f"{self.name} is now sampled by {self._how}"]

    @contextmanager
    def reporting_to(self, on_unit: OnUnit) -> Iterator[None]:
        """Within it, `on_unit` is called with the answers of each finished unit."""
        before, self._on_unit = self._on_unit, on_unit
        try:
            yield
        finally:
            self._on_unit = before

    def logprob(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        def score() -> list[dict[str, Any]]:
            self._seat.take(self.trainer.to)
            return [{"logprob": logprob} for logprob in self.engine.logprob(prompts, completions)]

        return [row["logprob"] for row in self.answer_cache(f"logprob/{self.name}", score)]

    def num_tokens(self, completions: Sequence[str]) -> list[int]:
        return self.engine.num_tokens(completions)

    def train(self, job: TrainingJob, hooks: TrainingHooks = NO_HOOKS) -> TrainingReport:
        """Trains on a round's examples; afterwards the new weights answer."""
        if job.config.start_from == "base" and self.weights_version != 0:
            self.trainer.load(self.base)
        self.engine.rest()
        self._seat.take(self.trainer.to)
        if hooks.validation_metric is not None:
            hooks = replace(hooks, validation_metric=partial(self._measured, hooks.validation_metric))
        report = self.trainer.train(job, hooks)
        self.engine.renew(self.trainer.save_merged)
        self.weights_version = job.round_progress.number
        return report

    def _measured(self, validation_metric: ValidationMetric) -> float:
        """What the weights are worth that a training has come to by now."""
        self.engine.renew(self.trainer.save_merged)
        value = validation_metric()
        self.engine.rest()
        return value

    def load(self, weights: str | Path, version: int, state: Path | None = None) -> None:
        """Takes the saved weights of round `version`, and the optimizer's state; afterwards they answer."""
        self.trainer.load(weights)
        if state is not None:
            self.trainer.load_state(state)
        self.engine.renew(self.trainer.save_merged)
        self.weights_version = version

    def save(self, folder: Path) -> None:
        self.trainer.save(folder)

    def close(self) -> None:
        self.engine.close()
        self.trainer.close()


def report_facts(report: TrainingReport) -> dict[str, Any]:
    """What the record says of a training. Not how long it took: that differs where all else is the same."""
    return {name: value for name, value in asdict(report).items() if name != "seconds"}


def report_of(facts: Mapping[str, Any]) -> TrainingReport:
    return TrainingReport(**{**facts, "validation_metric": tuple(facts["validation_metric"]), "seconds": 0.0})
