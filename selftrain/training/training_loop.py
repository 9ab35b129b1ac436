"""One training, from its first step or from a saved state, to its report."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError

from selftrain.errors import ModelError
from selftrain.training import tensors
from selftrain.training.base import (
    TrainingConfig,
    TrainingHooks,
    TrainingJob,
    TrainingReport,
    learning_rate_factor,
    schedule_step,
)
from selftrain.training.failures import not_finite
from selftrain.training.step import Stepper
from selftrain.training.tensors import Weights
from selftrain.training.trainer_state import TrainerState, fingerprint

#: Files of a state, beside weights, optimizer and `TrainerState`: `bf16_sample` before the first step, and the weights
#: of the best epoch where epochs are validated.
INITIAL, BEST = "initial.safetensors", "best.safetensors"


class TrainingLoop:
    """
    The batch of a step, its learning rate and its random numbers are functions of the seed and the step's number, so
    the position of a training is one count, and no random generator's state has to be saved.
    """

    def __init__(self, stepper: Stepper, job: TrainingJob, hooks: TrainingHooks, fingerprint: str = "") -> None:
        self._stepper, self._model = stepper, stepper.model
        self._job, self._config, self._hooks = job, job.config, hooks
        self._batches = step_batches(len(job.examples), job.config, job.seed)
        self._steps_per_epoch = len(self._batches) // job.config.num_train_epochs
        #: Of the training, to which a saved state has to belong.
        self.fingerprint = fingerprint or ("" if hooks.checkpoints is None else self._fingerprint())
        self._state = TrainerState(self.fingerprint, stepper.max_tokens_per_batch)
        self._best: Weights | None = None
        self._initial = tensors.bf16_sample(self._model)

    def run(self) -> TrainingReport:
        """Trains to the end, and leaves the model at the best epoch.

        Raises:
            ModelError: see `Trainer.train`.
        """
        self._resume()
        self._validate(0)
        for epoch in range(1, self._config.num_train_epochs + 1):
            for number in range((epoch - 1) * self._steps_per_epoch, epoch * self._steps_per_epoch):
                if number >= len(self._state.losses):
                    self._step(number)
            self._validate(epoch)
            if self._stops_early(epoch):
                break
        if self._best is not None and self._state.best_epoch != epoch:
            tensors.copy_weights(self._model, self._best)
        return self._report(epoch)

    def _step(self, number: int) -> None:
        state, indices, key = self._state, self._batches[number], f"{self._job.seed}/chance/{number}"
        schedule = schedule_step(number, len(self._batches), self._job)
        rate = self._config.learning_rate * learning_rate_factor(*schedule, self._config)
        loss = self._stepper.step(indices, rate, key)
        if loss is None:
            found = self._stepper.not_finite_examples(indices, key)
            state.not_finite_examples += [index for index in found if index not in state.not_finite_examples]
        state.losses.append(loss)
        if state.skipped > self._config.max_skipped_steps:
            raise self._not_finite()
        self._save_if_due()
        if self._hooks.on_step is not None:
            self._hooks.on_step(number + 1, len(self._batches), math.nan if loss is None else loss)

    def _validate(self, epoch: int) -> None:
        """Measures the weights after an epoch, and keeps a copy of the best ones; of equals the later."""
        state = self._state
        if self._hooks.validation_metric is None or epoch < len(state.values):
            return
        state.values.append(self._hooks.validation_metric())
        if state.values[epoch] >= state.values[state.best_epoch]:
            state.best_epoch, self._best = epoch, tensors.clone_weights(self._model)
        self._save_if_due()

    def _stops_early(self, epoch: int) -> bool:
        values = self._state.values
        return bool(values) and self._config.early_stopping == "first_drop" and values[epoch] < values[epoch - 1]

    def _save_if_due(self) -> None:
        if self._hooks.checkpoints is not None and self._hooks.checkpoints.due():
            self._hooks.checkpoints.save(self._write)

    def _write(self, folder: Path) -> None:
        budget = self._stepper.max_tokens_per_batch
        if tensors.is_first_process():
            replace(self._state, max_tokens_per_batch=budget).write(folder)
        tensors.write(folder / tensors.WEIGHTS, tensors.trainable(self._model))
        tensors.write(folder / tensors.OPTIMIZER, tensors.optimizer_state(self._model, self._stepper.optimizer))
        tensors.write(folder / INITIAL, {"initial": self._initial})
        if self._best is not None:
            tensors.write(folder / BEST, self._best)

    def _resume(self) -> None:
        """Goes to the latest saved state; stays at the beginning where that is another training's or unreadable."""
        latest = None if self._hooks.checkpoints is None else self._hooks.checkpoints.latest
        state = TrainerState.read(latest, self._state.fingerprint)
        if latest is None or state is None:
            return
        try:
            weights = tensors.read_weights(latest / tensors.WEIGHTS, self._model)
            best = tensors.read_weights(latest / BEST, self._model) if tensors.exists(latest / BEST) else None
            initial = tensors.read(latest / INITIAL, self._model)["initial"]
            optimizer = tensors.read(latest / tensors.OPTIMIZER, self._model)
            tensors.load_optimizer_state(self._model, self._stepper.optimizer, optimizer)
        except (OSError, KeyError, ValueError, SafetensorError):
            return
        tensors.copy_weights(self._model, weights)
        self._initial, self._best, self._state = initial.to(self._initial.device), best, state
        self._stepper.max_tokens_per_batch = min(self._stepper.max_tokens_per_batch, state.max_tokens_per_batch)

    def _fingerprint(self) -> str:
        weights = [(name, p.shape, p.dtype, p.requires_grad) for name, p in self._model.named_parameters()]
        job = (self._config, self._job.seed, self._job.round_progress, self._hooks.validation_metric is not None)
        gradients = self._stepper.gradients
        return fingerprint([*self._stepper.examples, *job, gradients.pad_id, gradients.bf16, weights])

    def _not_finite(self) -> ModelError:
        losses, examples = self._state.losses, self._job.examples
        skipped = dict.fromkeys(i for number, loss in enumerate(losses) if loss is None for i in self._batches[number])
        alone = [examples[i] for i in self._state.not_finite_examples]
        return not_finite(self._state.skipped, len(losses), alone, [examples[i] for i in skipped])

    def _report(self, epoch: int) -> TrainingReport:
        state, examples = self._state, self._stepper.examples
        losses = state.finite_losses
        if not losses:
            raise self._not_finite()
        last_epoch = losses[-self._steps_per_epoch :]
        return TrainingReport(
            examples=len(examples),
            tokens=sum(len(example.token_ids) for example in examples),
            steps=len(state.losses),
            skipped=state.skipped,
            epochs=epoch,
            best_epoch=state.best_epoch if state.values else epoch,
            loss_first=losses[0],
            loss_last=sum(last_epoch) / len(last_epoch),
            validation_metric=tuple(state.values),
            max_tokens_per_batch=self._stepper.max_tokens_per_batch,
            bf16_changed=(tensors.bf16_sample(self._model) != self._initial).float().mean().item(),
        )


def step_batches(count: int, config: TrainingConfig, seed: str) -> list[list[int]]:
    """Indices of the examples of each step: every epoch all of them, in a random order of its own."""
    rng, size = random.Random(f"{seed}/order"), config.train_batch_size
    orders = [rng.sample(range(count), count) for _ in range(config.num_train_epochs)]
    return [order[start : start + size] for order in orders for start in range(0, count, size)]
