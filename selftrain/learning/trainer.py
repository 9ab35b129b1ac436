"""Trains a live transformers model on weighted examples."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from selftrain.errors import ModelError
from selftrain.learning.base import ALONE, Learning, LearningReport, Moment, OnStep, Yardstick, learning_rate_factor
from selftrain.learning.loss import normalizer, weighted_nll
from selftrain.loading import load_model, without_bars
from selftrain.rendering import Renderer, Row, batches_by_tokens
from selftrain.scoring import autocast, token_logprobs
from selftrain.types import TrainingExample

#: How many weights are looked at to tell whether a training changed them.
SEEN_WEIGHTS = 1_000_000


@dataclass
class _Epochs:
    """Which epoch is the best so far, and its weights."""

    values: list[float]
    best: int = 0
    weights: dict[str, Tensor] | None = None

    def over(self, learning: Learning) -> bool:
        return learning.early_stopping == "first_drop" and len(self.values) > 1 and self.values[-1] < self.values[-2]


class TransformersTrainer:
    """AdamW on float32 master weights; under bfloat16 only the forward pass computes in less.

    Args:
        model: the module that the engine samples from; trained in place.
        renderer: turns examples into token ids, the same way as for sampling.
        bf16: compute the forward pass under bfloat16 autocast.
    """

    def __init__(self, model: Any, renderer: Renderer, bf16: bool = False) -> None:
        self.model, self.renderer, self.bf16 = model, renderer, bf16
        #: The optimizer that lives on across rounds, where it is to.
        self._living: torch.optim.AdamW | None = None

    def save(self, folder: Path) -> None:
        with without_bars():
            self.model.save_pretrained(folder)
        self.renderer.tokenizer.save_pretrained(folder)

    def load(self, weights: str | Path) -> None:
        """Copies saved weights into the live module; the module itself stays, since the engine shares it."""
        fresh = load_model(str(weights), device="cpu").model
        self.model.load_state_dict(fresh.state_dict())
        # Its moments belong to the weights that are gone.
        self._living = None

    def fit(
        self,
        examples: Sequence[TrainingExample],
        learning: Learning,
        seed: str,
        yardstick: Yardstick | None = None,
        on_step: OnStep | None = None,
        moment: Moment = ALONE,
    ) -> LearningReport:
        began, before = time.monotonic(), self._images()
        rows = self.renderer.training_rows(examples)
        steps_per_epoch = math.ceil(len(rows) / learning.train_batch_size)
        total = steps_per_epoch * learning.num_train_epochs
        optimizer = self._optimizer(learning)
        if learning.gradient_checkpointing:
            self.model.gradient_checkpointing_enable()
        watched = yardstick is not None and learning.early_stopping != "off"
        epochs = _Epochs([yardstick()] if watched and yardstick else [])
        self._remember(epochs, epoch=0, watched=watched)
        rng, losses = random.Random(f"{seed}/order"), list[float]()
        for epoch in range(1, learning.num_train_epochs + 1):
            order = rng.sample(range(len(rows)), len(rows))
            for start in range(0, len(order), learning.train_batch_size):
                factor = learning_rate_factor(*_schedule_step(len(losses), total, learning, moment), learning)
                for group in optimizer.param_groups:
                    group["lr"] = learning.learning_rate * factor
                step_rows = [rows[i] for i in order[start : start + learning.train_batch_size]]
                losses.append(self._step(step_rows, optimizer, learning))
                if on_step is not None:
                    on_step(len(losses), total, losses[-1])
            if watched and yardstick:
                epochs.values.append(yardstick())
            self._remember(epochs, epoch, watched)
            if epochs.over(learning):
                break
        if epochs.weights is not None and epochs.best != epoch:
            self.model.load_state_dict(epochs.weights)
        tail = losses[-steps_per_epoch:]
        return LearningReport(
            examples=len(rows),
            tokens=sum(len(row.token_ids) for row in rows),
            steps=len(losses),
            epochs=epoch,
            best_epoch=epochs.best,
            loss_first=losses[0],
            loss_last=sum(tail) / len(tail),
            yardstick=tuple(epochs.values),
            seconds=time.monotonic() - began,
            bf16_changed=(self._images() != before).float().mean().item(),
        )

    def _images(self) -> Tensor:
        """Up to a million weights as bfloat16, evenly taken: enough to see whether a training changed any."""
        every = 1 + sum(p.numel() for p in self.model.parameters()) // SEEN_WEIGHTS
        return torch.cat([p.detach().flatten()[::every].to(torch.bfloat16) for p in self.model.parameters()])

    def _optimizer(self, learning: Learning) -> torch.optim.AdamW:
        if self._living is not None and learning.optimizer_spans == "run":
            return self._living
        trained = [p for p in self.model.parameters() if p.requires_grad]
        if any(p.dtype != torch.float32 for p in trained):
            raise ModelError(
                f"the model's weights are {trained[0].dtype}",
                f"an update of {learning.learning_rate:g} a weight vanishes in less than float32 (two neighbours near "
                "0.02 lie 1e-4 apart in bfloat16)",
                "load the model in float32; bf16 then concerns the forward pass only",
            )
        self._living = torch.optim.AdamW(
            trained, lr=learning.learning_rate, betas=(learning.adam_beta1, learning.adam_beta2),
            eps=learning.adam_epsilon, weight_decay=learning.weight_decay, fused=True,
        )  # fmt: skip
        return self._living

    def _remember(self, epochs: _Epochs, epoch: int, watched: bool) -> None:
        """Keeps a copy of the weights where this epoch is at least as good as the best before it."""
        if not watched:
            epochs.best = epoch
        elif epoch == 0 or epochs.values[-1] >= epochs.values[epochs.best]:
            epochs.best = epoch
            epochs.weights = {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    def _step(self, rows: Sequence[Row], optimizer: torch.optim.Optimizer, learning: Learning) -> float:
        """One optimiser step. What it is divided by is known beforehand, so micro-batches change nothing."""
        self.model.train()
        divisor, loss_of_step = normalizer(rows, learning.loss_normalization), 0.0
        for batch in batches_by_tokens(rows, learning.max_tokens_per_batch):
            here = [rows[i] for i in batch]
            with autocast(self.model, self.bf16):
                logprobs, mask = token_logprobs(self.model, here, self.renderer.pad_id, learning.train_temperature)
            weights = torch.tensor([row.weight for row in here], device=logprobs.device)
            loss = weighted_nll(logprobs, mask, weights, learning.loss_normalization) / divisor
            loss.backward()  # type: ignore[no-untyped-call]
            loss_of_step += loss.item()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), learning.max_grad_norm)
        if not (math.isfinite(loss_of_step) and math.isfinite(norm.item())):
            optimizer.zero_grad(set_to_none=True)
            raise ModelError(
                f"the loss is {loss_of_step} and the gradient norm {norm.item()}",
                "an update would destroy the weights; none was made",
                "lower --learning_rate, or look for odd texts among the kept samples",
            )
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss_of_step


def _schedule_step(done: int, total: int, learning: Learning, moment: Moment) -> tuple[int, int]:
    """Step and total of the learning-rate schedule: updates within a round, or rounds within a run."""
    return (moment.number - 1, moment.num_rounds) if learning.optimizer_spans == "run" else (done, total)
