"""Trains a live transformers model on weighted examples."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from selftrain.errors import ModelError
from selftrain.models.rendering import Renderer
from selftrain.training import tensors
from selftrain.training.base import (
    ALONE,
    Checkpoints,
    OnStep,
    RoundProgress,
    TrainingConfig,
    TrainingReport,
    ValidationMetric,
)
from selftrain.training.followers import Followers
from selftrain.training.gradients import Gradients, LossConfig
from selftrain.training.step import Stepper
from selftrain.training.trainable_weights import TrainableWeights, WholeModel
from selftrain.training.training_loop import Training
from selftrain.types import TrainingExample


class TransformersTrainer:
    """AdamW on float32 master weights; under bfloat16 only the forward pass computes in less.

    Args:
        model: the module that the engine samples from; trained in place.
        renderer: turns examples into token ids, the same way as for sampling.
        bf16: compute the forward pass under bfloat16 autocast.
        trained: what is trained of the model; by default all its weights.
        followers: other processes that compute gradients, too.
    """

    def __init__(
        self, model: Any, renderer: Renderer, bf16: bool = False, trained: TrainableWeights | None = None,
        followers: Followers | None = None,
    ) -> None:  # fmt: skip
        self.model, self.renderer, self.bf16 = model, renderer, bf16
        self._trained, self._followers = trained or WholeModel(model), followers
        #: The optimizer that lives on across rounds, where it is to.
        self._living: torch.optim.AdamW | None = None

    def save(self, folder: Path) -> None:
        self._trained.save(folder)
        self.renderer.tokenizer.save_pretrained(folder)

    def save_merged(self, folder: Path) -> None:
        self._trained.save_merged(folder)
        self.renderer.tokenizer.save_pretrained(folder)

    def load(self, weights: str | Path) -> None:
        self._trained.load(weights)
        # Its moments belong to the weights that are gone.
        self._living = None

    def save_state(self, folder: Path) -> None:
        if self._living is not None:
            folder.mkdir(parents=True, exist_ok=True)
            tensors.write(folder / tensors.OPTIMIZER, tensors.of_optimizer(self.model, self._living))

    def load_state(self, folder: Path) -> None:
        self._living, file = None, folder / tensors.OPTIMIZER
        if not file.exists():
            return
        optimizer = torch.optim.AdamW(tensors.live(self.model).values(), fused=True)
        try:
            tensors.put_optimizer(self.model, optimizer, tensors.read(file))
        except (OSError, SafetensorError, ValueError) as error:
            raise ModelError(
                f"{file} is no state of this model's optimizer: {error}",
                "its moments have to be those of the weights that are trained on",
                "give the state that was saved with these weights",
            ) from error
        self._living = optimizer

    def move(self, device: str) -> None:
        self.model.to(device)
        for state in {} if self._living is None else self._living.state.values():
            for name, value in state.items():
                state[name] = value.to(device)

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
        self._trained.begin(seed)
        rows = self.renderer.training_rows(examples)
        optimizer = self._optimizer(training)
        how = LossConfig(
            self.renderer.pad_id, self.bf16, training.train_temperature, training.loss_normalization,
            training.gradient_checkpointing,
        )  # fmt: skip
        stepper = Stepper(Gradients(self.model, how), optimizer, rows, examples, training, self._followers)
        watched = None if training.early_stopping == "off" else validation_metric
        with nullcontext() if self._followers is None else self._followers.joined(self.model, how):
            return Training(stepper, seed, round_progress, watched, on_step, checkpoints).run()

    def close(self) -> None:
        if self._followers is not None:
            self._followers.close()

    def _optimizer(self, training: TrainingConfig) -> torch.optim.AdamW:
        """The one that lives on, or else a new one; the learning rate is set at every step."""
        trained = [*tensors.live(self.model).values()]
        if any(p.dtype != torch.float32 for p in trained):
            raise ModelError(
                f"the model's weights are {trained[0].dtype}",
                f"an update of {training.learning_rate:g} a weight vanishes in less than float32 (two neighbours near "
                "0.02 lie 1e-4 apart in bfloat16)",
                "load the model in float32; bf16 then concerns the forward pass only",
            )
        spans_run = training.optimizer_spans == "run"
        optimizer = self._living if spans_run else None
        if optimizer is None:
            optimizer = torch.optim.AdamW(trained, fused=True)
        for group in optimizer.param_groups:
            group["betas"] = (training.adam_beta1, training.adam_beta2)
            group["eps"], group["weight_decay"] = training.adam_epsilon, training.weight_decay
        self._living = optimizer if spans_run else None
        return optimizer
