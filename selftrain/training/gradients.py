"""Gradients of one micro-batch: what every process of a training does alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from selftrain.models.logprobs import autocast, token_logprobs
from selftrain.models.out_of_memory import is_out_of_memory
from selftrain.models.rendering import Row
from selftrain.training.loss import Normalization, weighted_nll
from selftrain.training.seeding import chance


@dataclass(frozen=True)
class LossConfig:
    """How gradients are computed; fit for JSON.

    How(pad_id=0, bf16=False, temperature=1.0, normalization="token", checkpointing=False)
    """

    #: Filler outside every mask.
    pad_id: int
    #: Compute the forward pass under bfloat16 autocast.
    bf16: bool
    #: Of the loss.
    temperature: float
    normalization: Normalization
    #: Compute activations twice instead of keeping them.
    checkpointing: bool


class Gradients:
    """Adds gradients up in a model's trained weights."""

    def __init__(self, model: Any, how: LossConfig) -> None:
        self.model, self.how = model, how
        if how.checkpointing:
            checkpoint_activations(model)
        model.train()

    def add(self, rows: Sequence[Row], divisor: float, key: str) -> float | None:
        """Adds those of some rows at once, and gives their share of the loss; None where memory does not suffice.

        Args:
            divisor: what the sum over all rows of a step is divided by; the same for all of its micro-batches.
            key: what chance there is (dropout) is a function of it.
        """
        how = self.how
        try:
            with chance(self.model.device, key):
                with autocast(self.model, how.bf16):
                    logprobs, mask = token_logprobs(self.model, rows, how.pad_id, how.temperature)
                weights = torch.tensor([row.weight for row in rows], device=logprobs.device)
                loss = weighted_nll(logprobs, mask, weights, how.normalization) / divisor
                loss.backward()
            return loss.item()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            # Nothing is tried again in here: the error still holds on to the memory of the failed pass.
            return None

    def forget(self) -> None:
        for value in self.model.parameters():
            value.grad = None


def checkpoint_activations(model: Any) -> None:
    """Has the model do so from now on; once, since each time would leave another hook in it."""
    if not any(getattr(module, "gradient_checkpointing", False) for module in model.modules()):
        # Before transformers 5.20 or so the one name, from 6 on the other.
        (getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable)()
