"""Trains the toy model: the same weighted loss, with its gradient written by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from selftrain.training.base import (
    MAX_TOKENS,
    NO_HOOKS,
    Checkpoints,
    TrainingHooks,
    TrainingJob,
    TrainingReport,
    learning_rate_factor,
    schedule_step,
)
from selftrain.training.trainer_state import TrainerState, fingerprint
from tests.toys.model import ToyModel


class ToyTrainer:
    """Plain gradient descent. Examples whose text is none of the habits are ignored."""

    def __init__(self, model: ToyModel) -> None:
        self.model = model

    def load(self, weights: str | Path) -> None:
        self.model.logits = ToyModel.load(Path(weights)).logits

    @property
    def saved_bytes(self) -> int:
        return 8 * len(self.model.logits)

    trained_bytes = saved_bytes

    def save(self, folder: Path) -> None:
        self.model.save(folder)

    def save_merged(self, folder: Path) -> None:
        self.save(folder)

    def to(self, device: str) -> None:
        """The model is three Python floats."""

    def close(self) -> None:
        """Holds no resources."""

    def save_state(self, folder: Path) -> None:
        """There is no optimizer state."""

    def load_state(self, folder: Path) -> None:
        """There is no optimizer state."""

    def train(self, job: TrainingJob, hooks: TrainingHooks = NO_HOOKS) -> TrainingReport:
        config, epochs = job.config, job.config.num_train_epochs
        habits = [(self.model.habit_of(e.prompt.question, e.completion), e.weight) for e in job.examples]
        data = [(habit, weight) for habit, weight in habits if habit is not None]
        validated = hooks.validation_metric is not None
        state = self._resume(fingerprint([data, config, job.seed, job.round_progress, validated]), hooks.checkpoints)

        def save_if_due() -> None:
            if hooks.checkpoints is not None and hooks.checkpoints.due():
                hooks.checkpoints.save(lambda folder: self._write(folder, state))

        def validate(epoch: int) -> None:
            if hooks.validation_metric is not None and len(state.values) == epoch:
                state.values.append(hooks.validation_metric())
                save_if_due()

        validate(0)
        for epoch in range(epochs):
            if epoch == len(state.losses):
                rate = config.learning_rate * learning_rate_factor(*schedule_step(epoch, epochs, job), config)
                state.losses.append(self._descend(data, rate))
                save_if_due()
                if hooks.on_step is not None:
                    hooks.on_step(epoch + 1, epochs, state.finite_losses[-1])
            validate(epoch + 1)
        return TrainingReport(
            examples=len(data), tokens=len(data), steps=epochs, skipped=0, epochs=epochs, best_epoch=epochs,
            loss_first=state.finite_losses[0], loss_last=state.finite_losses[-1],
            validation_metric=tuple(state.values),
            max_tokens_per_batch=config.max_tokens_per_batch or MAX_TOKENS,
        )  # fmt: skip

    def _resume(self, own: str, checkpoints: Checkpoints | None) -> TrainerState:
        latest = None if checkpoints is None else checkpoints.latest
        saved = TrainerState.read(latest, own)
        if latest is None or saved is None:
            return TrainerState(own)
        self.load(latest)
        return saved

    def _write(self, folder: Path, state: TrainerState) -> None:
        state.write(folder)
        self.save(folder)

    def _descend(self, data: Sequence[tuple[int, float]], rate: float) -> float:
        probabilities = self.model.probabilities()
        # Gradient of the mean weighted NLL of a softmax: weight * (probability - one_hot).
        gradient = [
            sum(weight * (p - (habit == target)) for target, weight in data) / max(1, len(data))
            for habit, p in enumerate(probabilities)
        ]
        self.model.logits = [logit - rate * slope for logit, slope in zip(self.model.logits, gradient, strict=True)]
        return -sum(weight * math.log(probabilities[target]) for target, weight in data) / max(1, len(data))
