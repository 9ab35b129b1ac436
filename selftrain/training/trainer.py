"""Trains a live transformers model on weighted examples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from selftrain.errors import ModelError
from selftrain.models.rendering import Renderer
from selftrain.models.tokenizer_facts import write_stated
from selftrain.training import tensors
from selftrain.training.base import NO_HOOKS, TrainingConfig, TrainingHooks, TrainingJob, TrainingReport
from selftrain.training.gradients import GradientAccumulator
from selftrain.training.optimizer import configure, load_optimizer, make_optimizer
from selftrain.training.step import Stepper
from selftrain.training.trainable_weights import WholeModel
from selftrain.training.training_loop import TrainingLoop


class TransformersTrainer:
    """AdamW on float32 weights; bfloat16 concerns the forward pass only.

    Args:
        model: the module that the engine samples from; trained in place.
        renderer: tokenizes examples, the same way as for sampling.
        bf16: run the forward pass under bfloat16 autocast.
        trained: which weights are trained; by default all.
    """

    def __init__(
        self, model: Any, renderer: Renderer, *, bf16: bool = False, trained: WholeModel | None = None
    ) -> None:
        self.model, self.renderer, self.bf16 = model, renderer, bf16
        self._trained = trained or WholeModel(model)
        #: The optimizer of the run, where one is kept across rounds.
        self._run_optimizer: torch.optim.AdamW | None = None

    @property
    def saved_bytes(self) -> int:
        return self._trained.saved_bytes

    @property
    def trained_bytes(self) -> int:
        return sum(weight.nbytes for weight in tensors.trainable(self.model).values())

    def save(self, folder: Path) -> None:
        self._trained.save(folder)
        self.renderer.tokenizer.save_pretrained(folder)
        write_stated(folder, self.renderer.prompt_config)

    def save_merged(self, folder: Path) -> None:
        self._trained.save_merged(folder)
        self.renderer.tokenizer.save_pretrained(folder)

    def load(self, weights: str | Path) -> None:
        self._trained.load(weights)
        # Its moments belong to the weights before.
        self._run_optimizer = None

    def save_state(self, folder: Path) -> None:
        if self._run_optimizer is not None:
            folder.mkdir(parents=True, exist_ok=True)
            tensors.write(folder / tensors.OPTIMIZER, tensors.optimizer_state(self.model, self._run_optimizer))

    def load_state(self, folder: Path) -> None:
        self._run_optimizer = load_optimizer(self.model, folder)

    def to(self, device: str) -> None:
        self.model.to(device)
        for state in {} if self._run_optimizer is None else self._run_optimizer.state.values():
            for name, value in state.items():
                state[name] = value.to(device)

    def train(self, job: TrainingJob, hooks: TrainingHooks = NO_HOOKS) -> TrainingReport:
        config = job.config
        self._trained.initialize(job.seed)
        examples = self.renderer.tokenize_examples(job.examples)
        optimizer = self._optimizer(config)
        gradients = GradientAccumulator(self.model, config, self.renderer.pad_id, bf16=self.bf16)
        stepper = Stepper(gradients, optimizer, examples, job)
        if config.early_stopping == "off":
            hooks = replace(hooks, validation_metric=None)
        return self._run(stepper, job, hooks)

    def _run(self, stepper: Stepper, job: TrainingJob, hooks: TrainingHooks) -> TrainingReport:
        return TrainingLoop(stepper, job, hooks).run()

    def close(self) -> None:
        """Holds nothing else."""

    def _optimizer(self, config: TrainingConfig) -> torch.optim.AdamW:
        """That of the run where it spans the run, else a new one; the learning rate is set at every step."""
        weights = [*tensors.trainable(self.model).values()]
        if any(p.dtype != torch.float32 for p in weights):
            raise ModelError(
                f"the model's weights are {weights[0].dtype}",
                f"an update of {config.learning_rate:g} a weight vanishes below float32 precision (near 0.02, "
                "neighbouring bfloat16 values are 1e-4 apart)",
                "load the model in float32; --bf16 concerns the forward pass only",
            )
        spans_run = config.optimizer_spans == "run"
        optimizer = self._run_optimizer if spans_run else None
        if optimizer is None:
            optimizer = make_optimizer(self.model)
        configure(optimizer, config)
        self._run_optimizer = optimizer if spans_run else None
        return optimizer
