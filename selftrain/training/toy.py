"""Trains the toy model: the same weighted loss, its gradient written out by hand."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

from selftrain.models.toy import ToyModel
from selftrain.training.base import (
    ALONE,
    Checkpoints,
    OnStep,
    RoundProgress,
    TrainingConfig,
    TrainingReport,
    ValidationMetric,
    learning_rate_factor,
)
from selftrain.training.trainer_state import TrainerState, fingerprint
from selftrain.types import TrainingExample


class ToyTrainer:
    """Plain gradient descent. Examples that no habit says are left out."""

    def __init__(self, model: ToyModel) -> None:
        self.model = model

    def load(self, weights: str | Path) -> None:
        self.model.logits = ToyModel.load(Path(weights)).logits

    def save(self, folder: Path) -> None:
        self.model.save(folder)

    def save_merged(self, folder: Path) -> None:
        self.save(folder)

    def move(self, device: str) -> None:
        """Three numbers are everywhere."""

    def close(self) -> None:
        """It holds nothing."""

    def save_state(self, folder: Path) -> None:
        """Plain gradient descent has none."""

    def load_state(self, folder: Path) -> None:
        """There is none to take back."""

    def fit(
        self,
        examples: Sequence[TrainingExample],
        training: TrainingConfig,
        seed: str,
        validation_metric: ValidationMetric | None = None,
        on_step: OnStep | None = None,
        round_progress: RoundProgress = ALONE,
        checkpoints: Checkpoints | None = None,
    ) -> TrainingReport:
        epochs = training.num_train_epochs
        named = [(self.model.habit_of(e.prompt.question, e.completion), e.weight) for e in examples]
        lessons = [(habit, weight) for habit, weight in named if habit is not None]
        now = self._take_up(
            fingerprint(lessons, training, seed, round_progress, validation_metric is not None), checkpoints
        )
        began = time.monotonic() - now.seconds

        def save_where_due() -> None:
            now.seconds = time.monotonic() - began
            if checkpoints is not None and checkpoints.due():
                checkpoints.save(lambda folder: self._write(folder, now))

        def measure(epoch: int) -> None:
            if validation_metric is not None and len(now.values) == epoch:
                now.values.append(validation_metric())
                save_where_due()

        measure(0)
        for epoch in range(epochs):
            if epoch == len(now.losses):
                step = (
                    (round_progress.number - 1, round_progress.num_rounds)
                    if training.optimizer_spans == "run"
                    else (epoch, epochs)
                )
                rate = training.learning_rate * learning_rate_factor(*step, training)
                now.losses.append(self._descend(lessons, rate))
                save_where_due()
                if on_step is not None:
                    on_step(epoch + 1, epochs, now.finite_losses[-1])
            measure(epoch + 1)
        return TrainingReport(
            examples=len(lessons), tokens=len(lessons), steps=epochs, skipped=0, epochs=epochs, best_epoch=epochs,
            loss_first=now.finite_losses[0], loss_last=now.finite_losses[-1], validation_metric=tuple(now.values),
            seconds=time.monotonic() - began, max_tokens_per_batch=training.max_tokens_per_batch,
        )  # fmt: skip

    def _take_up(self, own: str, checkpoints: Checkpoints | None) -> TrainerState:
        latest = None if checkpoints is None else checkpoints.latest
        left = TrainerState.read(latest, own)
        if latest is None or left is None:
            return TrainerState(own)
        self.load(latest)
        return left

    def _write(self, folder: Path, now: TrainerState) -> None:
        now.write(folder)
        self.save(folder)

    def _descend(self, lessons: Sequence[tuple[int, float]], rate: float) -> float:
        shares = self.model.probabilities()
        # Gradient of the mean weighted negative log-likelihood of a softmax: weight times (share - hit).
        gradient = [
            sum(weight * (share - (habit == own)) for own, weight in lessons) / max(1, len(lessons))
            for habit, share in enumerate(shares)
        ]
        self.model.logits = [logit - rate * slope for logit, slope in zip(self.model.logits, gradient, strict=True)]
        return -sum(weight * math.log(shares[own]) for own, weight in lessons) / max(1, len(lessons))
