"""One training from its first step, or from where an earlier process left it, to its report."""

from __future__ import annotations

import math
import random
import time
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError

from selftrain.errors import ModelError
from selftrain.training import tensors
from selftrain.training.base import (
    Checkpoints,
    OnStep,
    RoundProgress,
    TrainingConfig,
    TrainingReport,
    ValidationMetric,
    learning_rate_factor,
)
from selftrain.training.failures import not_finite
from selftrain.training.step import Stepper
from selftrain.training.tensors import Tensors, Weights
from selftrain.training.trainer_state import TrainerState, fingerprint


class Training:
    """
    Which rows a step learns from, its learning rate and its chance are functions of the seed and the step's number, so
    where a training stands is a matter of counting.

    Args:
        yardstick: measures the weights after every epoch; None where the last epoch is kept.
    """

    def __init__(
        self,
        stepper: Stepper,
        seed: str,
        round_progress: RoundProgress,
        validation_metric: ValidationMetric | None,
        on_step: OnStep | None,
        checkpoints: Checkpoints | None,
    ) -> None:
        self._stepper, self._model, self._training = stepper, stepper.model, stepper.training
        self._seed, self._round_progress = seed, round_progress
        self._validation_metric, self._on_step, self._checkpoints = validation_metric, on_step, checkpoints
        self._began = time.monotonic()
        self._plan = step_plan(len(stepper.rows), self._training, seed)
        self._steps_per_epoch = len(self._plan) // self._training.num_train_epochs
        self._now = TrainerState("" if checkpoints is None else self._fingerprint(), stepper.budget)
        self._best: Weights | None = None
        self._before = tensors.images(self._model)

    def run(self) -> TrainingReport:
        """Goes on to the end, and leaves the model at the best epoch.

        Raises:
            ModelError: see `Trainer.fit`.
        """
        self._take_up()
        self._measure(0)
        for epoch in range(1, self._training.num_train_epochs + 1):
            for number in range((epoch - 1) * self._steps_per_epoch, epoch * self._steps_per_epoch):
                if number >= len(self._now.losses):
                    self._step(number)
            self._measure(epoch)
            if self._is_over(epoch):
                break
        if self._best is not None and self._now.best_epoch != epoch:
            tensors.put(self._model, self._best)
        return self._report(epoch)

    def _step(self, number: int) -> None:
        indices, key = self._plan[number], f"{self._seed}/chance/{number}"
        place = _schedule_step(number, len(self._plan), self._training, self._round_progress)
        rate = self._training.learning_rate * learning_rate_factor(*place, self._training)
        loss = self._stepper.step(indices, rate, key)
        if loss is None:
            found = self._stepper.offenders(indices, key)
            self._now.offenders += [index for index in found if index not in self._now.offenders]
        self._now.losses.append(loss)
        if self._now.skipped > self._training.max_skipped_steps:
            raise self._not_finite()
        self._save_where_due()
        if self._on_step is not None:
            self._on_step(number + 1, len(self._plan), math.nan if loss is None else loss)

    def _measure(self, epoch: int) -> None:
        """Measures the weights after an epoch, and keeps a copy where none were better before."""
        now = self._now
        if self._validation_metric is None or epoch < len(now.values):
            return
        now.values.append(self._validation_metric())
        if now.values[epoch] >= now.values[now.best_epoch]:
            now.best_epoch, self._best = epoch, tensors.copied(self._model)
        self._save_where_due()

    def _is_over(self, epoch: int) -> bool:
        values = self._now.values
        return bool(values) and self._training.early_stopping == "first_drop" and values[epoch] < values[epoch - 1]

    def _save_where_due(self) -> None:
        if self._checkpoints is not None and self._checkpoints.due():
            self._checkpoints.save(self._write)

    def _write(self, folder: Path) -> None:
        replace(self._now, budget=self._stepper.budget, seconds=self._seconds()).write(folder)
        optimizer = tensors.of_optimizer(self._model, self._stepper.optimizer)
        Tensors(tensors.live(self._model), optimizer, self._before, self._best).write(folder)

    def _take_up(self) -> None:
        """Goes to where `latest` stands; to the beginning where that is of another training, or cannot be read."""
        latest = None if self._checkpoints is None else self._checkpoints.latest
        now = TrainerState.read(latest, self._now.fingerprint)
        if latest is None or now is None:
            return
        try:
            kept = Tensors.read(latest, self._model)
            tensors.put_optimizer(self._model, self._stepper.optimizer, kept.optimizer)
        except (OSError, KeyError, ValueError, SafetensorError):
            return
        tensors.put(self._model, kept.weights)
        self._before, self._best = kept.before.to(self._before.device), kept.best
        self._now, self._stepper.budget = now, now.budget

    def _fingerprint(self) -> str:
        weights = [(name, p.shape, p.dtype, p.requires_grad) for name, p in self._model.named_parameters()]
        measured, how = self._validation_metric is not None, self._stepper.gradients.how
        return fingerprint(
            *self._stepper.rows, self._training, self._seed, self._round_progress, measured, how, weights
        )

    def _seconds(self) -> float:
        return self._now.seconds + time.monotonic() - self._began

    def _not_finite(self) -> ModelError:
        losses, examples = self._now.losses, self._stepper.examples
        involved = dict.fromkeys(i for number, loss in enumerate(losses) if loss is None for i in self._plan[number])
        offenders = [examples[i] for i in self._now.offenders]
        return not_finite(self._now.skipped, len(losses), offenders, [examples[i] for i in involved])

    def _report(self, epoch: int) -> TrainingReport:
        now, rows = self._now, self._stepper.rows
        losses = now.finite_losses
        if not losses:
            raise self._not_finite()
        tail = losses[-self._steps_per_epoch :]
        return TrainingReport(
            examples=len(rows),
            tokens=sum(len(row.token_ids) for row in rows),
            steps=len(now.losses),
            skipped=now.skipped,
            epochs=epoch,
            best_epoch=now.best_epoch if now.values else epoch,
            loss_first=losses[0],
            loss_last=sum(tail) / len(tail),
            validation_metric=tuple(now.values),
            seconds=self._seconds(),
            max_tokens_per_batch=self._stepper.budget,
            bf16_changed=(tensors.images(self._model) != self._before).float().mean().item(),
        )


def step_plan(count: int, training: TrainingConfig, seed: str) -> list[list[int]]:
    """Which rows each step of a training learns from: every epoch all, in an order of its own."""
    rng, size = random.Random(f"{seed}/order"), training.train_batch_size
    orders = [rng.sample(range(count), count) for _ in range(training.num_train_epochs)]
    return [order[start : start + size] for order in orders for start in range(0, count, size)]


def _schedule_step(done: int, total: int, training: TrainingConfig, round_progress: RoundProgress) -> tuple[int, int]:
    """Step and total of the learning-rate schedule: updates within a round, or rounds within a run."""
    return (
        (round_progress.number - 1, round_progress.num_rounds) if training.optimizer_spans == "run" else (done, total)
    )
