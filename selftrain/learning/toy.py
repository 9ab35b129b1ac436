"""Trains the toy model: the same weighted loss, its gradient written out by hand."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

from selftrain.learning.base import ALONE, Learning, LearningReport, Moment, OnStep, Yardstick, learning_rate_factor
from selftrain.toy import ToyModel
from selftrain.types import TrainingExample


class ToyTrainer:
    """Plain gradient descent. Examples that no habit says are left out."""

    def __init__(self, model: ToyModel) -> None:
        self.model = model

    def load(self, weights: str | Path) -> None:
        self.model.logits = ToyModel.load(Path(weights)).logits

    def save(self, folder: Path) -> None:
        self.model.save(folder)

    def fit(
        self,
        examples: Sequence[TrainingExample],
        learning: Learning,
        seed: str,
        yardstick: Yardstick | None = None,
        on_step: OnStep | None = None,
        moment: Moment = ALONE,
    ) -> LearningReport:
        began = time.monotonic()
        named = [(self.model.habit_of(e.prompt.question, e.completion), e.weight) for e in examples]
        lessons = [(habit, weight) for habit, weight in named if habit is not None]
        losses: list[float] = []
        values = [] if yardstick is None else [yardstick()]
        for epoch in range(learning.num_train_epochs):
            step = (epoch, learning.num_train_epochs)
            if learning.optimizer_spans == "run":
                step = (moment.number - 1, moment.num_rounds)
            factor = learning_rate_factor(*step, learning)
            losses.append(self._descend(lessons, learning.learning_rate * factor))
            if on_step is not None:
                on_step(len(losses), learning.num_train_epochs, losses[-1])
            if yardstick is not None:
                values.append(yardstick())
        return LearningReport(
            examples=len(lessons), tokens=len(lessons), steps=len(losses), epochs=len(losses), best_epoch=len(losses),
            loss_first=losses[0], loss_last=losses[-1], yardstick=tuple(values), seconds=time.monotonic() - began,
        )  # fmt: skip

    def _descend(self, lessons: Sequence[tuple[int, float]], rate: float) -> float:
        shares = self.model.probabilities()
        # Gradient of the mean weighted negative log-likelihood of a softmax: weight times (share - hit).
        gradient = [
            sum(weight * (share - (habit == own)) for own, weight in lessons) / max(1, len(lessons))
            for habit, share in enumerate(shares)
        ]
        self.model.logits = [logit - rate * slope for logit, slope in zip(self.model.logits, gradient, strict=True)]
        return -sum(weight * math.log(shares[own]) for own, weight in lessons) / max(1, len(lessons))
