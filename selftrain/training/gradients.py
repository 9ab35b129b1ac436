"""Forward and backward pass of one micro-batch, the same in every process of a training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from selftrain.models.logprobs import autocast, token_logprobs
from selftrain.models.out_of_memory import is_out_of_memory
from selftrain.models.rendering import TokenizedExample
from selftrain.training.loss import Normalization, weighted_nll
from selftrain.training.seeding import seeded


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """How gradients are computed; can be sent as JSON.

    LossConfig(pad_id=0, bf16=False, temperature=1.0, normalization="token", gradient_checkpointing=False)
    """

    #: Padding, outside every mask.
    pad_id: int
    #: Run the forward pass under bfloat16 autocast.
    bf16: bool
    #: Logits are divided by it before the softmax.
    temperature: float
    normalization: Normalization
    #: Recompute activations in the backward pass instead of keeping them.
    gradient_checkpointing: bool


class GradientAccumulator:
    """Accumulates gradients in `model`'s trained parameters, micro-batch by micro-batch."""

    def __init__(self, model: Any, config: LossConfig) -> None:
        self.model, self.config = model, config
        if config.gradient_checkpointing:
            enable_gradient_checkpointing(model)
        model.train()

    def add(self, examples: Sequence[TokenizedExample], divisor: float, key: str) -> float | None:
        """Adds the gradients of one micro-batch.

        Args:
            divisor: what the sum over the whole step is divided by; the same for all of its micro-batches.
            key: seeds dropout.

        Returns:
            The micro-batch's part of the step's loss; None where memory ran out.
        """
        config = self.config
        try:
            with seeded(self.model.device, key):
                with autocast(self.model, config.bf16):
                    logprobs, mask = token_logprobs(self.model, examples, config.pad_id, config.temperature)
                weights = torch.tensor([example.weight for example in examples], device=logprobs.device)
                loss = weighted_nll(logprobs, mask, weights, config.normalization) / divisor
                loss.backward()
            return loss.item()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            # No retry in here: the exception keeps the memory of the failed pass alive.
            return None

    def zero_grad(self) -> None:
        for value in self.model.parameters():
            value.grad = None


def enable_gradient_checkpointing(model: Any) -> None:
    """Once per model: each call would register another hook."""
    if not any(getattr(module, "gradient_checkpointing", False) for module in model.modules()):
        # The method is renamed in transformers: the old name goes in version 6, the new one came in 5.20 or so.
        (getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable)()
