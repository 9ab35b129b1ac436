"""Trains a live transformers model on weighted examples."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from selftrain.errors import ModelError
from selftrain.learning import tensors
from selftrain.learning.base import ALONE, Checkpoints, Learning, LearningReport, Moment, OnStep, Yardstick
from selftrain.learning.followers import Followers
from selftrain.learning.gradients import Gradients, How
from selftrain.learning.step import Stepper
from selftrain.learning.training import Training
from selftrain.learning.weights import Trained, WholeModel
from selftrain.rendering import Renderer
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
        self, model: Any, renderer: Renderer, bf16: bool = False, trained: Trained | None = None,
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
        learning: Learning,
        seed: str,
        yardstick: Yardstick | None = None,
        on_step: OnStep | None = None,
        moment: Moment = ALONE,
        checkpoints: Checkpoints | None = None,
    ) -> LearningReport:
        self._trained.begin(seed)
        rows = self.renderer.training_rows(examples)
        optimizer = self._optimizer(learning)
        how = How(
            self.renderer.pad_id, self.bf16, learning.train_temperature, learning.loss_normalization,
            learning.gradient_checkpointing,
        )  # fmt: skip
        stepper = Stepper(Gradients(self.model, how), optimizer, rows, examples, learning, self._followers)
        watched = None if learning.early_stopping == "off" else yardstick
        with nullcontext() if self._followers is None else self._followers.joined(self.model, how):
            return Training(stepper, seed, moment, watched, on_step, checkpoints).run()

    def close(self) -> None:
        if self._followers is not None:
            self._followers.close()

    def _optimizer(self, learning: Learning) -> torch.optim.AdamW:
        """The one that lives on, or else a new one; the learning rate is set at every step."""
        trained = [*tensors.live(self.model).values()]
        if any(p.dtype != torch.float32 for p in trained):
            raise ModelError(
                f"the model's weights are {trained[0].dtype}",
                f"an update of {learning.learning_rate:g} a weight vanishes in less than float32 (two neighbours near "
                "0.02 lie 1e-4 apart in bfloat16)",
                "load the model in float32; bf16 then concerns the forward pass only",
            )
        spans_run = learning.optimizer_spans == "run"
        optimizer = self._living if spans_run else None
        if optimizer is None:
            optimizer = torch.optim.AdamW(trained, fused=True)
        for group in optimizer.param_groups:
            group["betas"] = (learning.adam_beta1, learning.adam_beta2)
            group["eps"], group["weight_decay"] = learning.adam_epsilon, learning.weight_decay
        self._living = optimizer if spans_run else None
        return optimizer
