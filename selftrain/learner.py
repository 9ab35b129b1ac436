"""A model that answers, and learns: one engine and one trainer around the same weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from selftrain.engines.base import Engine
from selftrain.learning.base import Learning, LearningReport, Moment, OnStep, Trainer, Yardstick
from selftrain.types import Prompt, Response, Sampling, TrainingExample

#: Called with the answers of each finished unit.
OnUnit = Callable[[Sequence[Response]], None]


class Learner:
    """
    Args:
        engine: answers from the live weights.
        trainer: trains the same live weights.
        base: folder or hub id of the untouched weights, which `start_from="base"` goes back to.
    """

    def __init__(self, engine: Engine, trainer: Trainer, base: str) -> None:
        self.engine, self.trainer, self.base = engine, trainer, base
        #: The round whose weights answer now; 0 is the untouched model.
        self.weights_version = 0
        self.on_unit: OnUnit | None = None

    @property
    def name(self) -> str:
        return self.engine.name

    def sample(self, prompts: Sequence[Prompt], n: int, sampling: Sampling, key: str) -> list[Response]:
        """Asks unit by unit, as planned, and gives the answers back in prompt order."""
        answers: list[list[Response]] = [[] for _ in prompts]
        for unit in self.engine.plan(prompts, n):
            responses = self.engine.generate(
                [prompts[i] for i in unit], n, sampling, f"{key}/{self.name}", self.weights_version
            )
            for place, index in enumerate(unit):
                answers[index] = responses[place * n : (place + 1) * n]
            if self.on_unit is not None:
                self.on_unit(responses)
        return [response for of_prompt in answers for response in of_prompt]

    def logprob(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        return self.engine.logprob(prompts, completions)

    def num_tokens(self, completions: Sequence[str]) -> list[int]:
        return self.engine.num_tokens(completions)

    def learn(
        self,
        examples: Sequence[TrainingExample],
        learning: Learning,
        moment: Moment,
        seed: str,
        yardstick: Yardstick | None = None,
        on_step: OnStep | None = None,
    ) -> LearningReport:
        """Trains on a round's examples; afterwards the new weights answer."""
        if learning.start_from == "base" and self.weights_version != 0:
            self.trainer.load(self.base)
        report = self.trainer.fit(examples, learning, seed, yardstick, on_step, moment)
        self.weights_version = moment.number
        return report

    def load(self, weights: str | Path, version: int) -> None:
        """Takes the saved weights of round `version`; afterwards they answer."""
        self.trainer.load(weights)
        self.weights_version = version

    def save(self, folder: Path) -> None:
        self.trainer.save(folder)

    def close(self) -> None:
        self.engine.close()
