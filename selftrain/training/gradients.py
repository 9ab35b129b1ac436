"""Forward and backward pass of one micro-batch, the same in every process of a training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from selftrain.models.logprobs import (
    PlainHead,
    autocast,
    can_share_start,
    completion_states,
    recomputes_activations,
    token_logprobs,
    too_many_logits,
)
from selftrain.models.out_of_memory import is_out_of_memory
from selftrain.models.rendering import TokenizedExample
from selftrain.models.rounded_weights import RoundedWeights
from selftrain.models.shared_start import shared_start
from selftrain.training.base import TrainingConfig
from selftrain.training.loss import chunked_weighted_nll, weighted_nll
from selftrain.training.seeding import seeded

#: Tokens that memory is measured on, at most.
MEASURED_TOKENS = 64
#: Tokens from which on a start that prompts share, worked examples above all, is computed once a micro-batch: a shorter
#: one is not worth a pass of its own.
SHARED_FROM = 64


class GradientAccumulator:
    """Accumulates gradients in `model`'s trained parameters, micro-batch by micro-batch.

    Args:
        pad_id: padding, outside every mask.
        bf16: run the forward pass under bfloat16 autocast.
    """

    def __init__(self, model: Any, config: TrainingConfig, pad_id: int, *, bf16: bool = False) -> None:
        self.model, self.config, self.pad_id, self.bf16 = model, config, pad_id, bf16
        if config.gradient_checkpointing:
            enable_gradient_checkpointing(model)
        model.train()
        self.shares_start = can_share_start(model)
        #: What is computed again in the backward pass is not kept, nor are the weights it takes.
        self._rounded = RoundedWeights(model, wanted=bf16 and not recomputes_activations(model))

    def shared(self, examples: Sequence[TokenizedExample]) -> int:
        """How many tokens of these examples' prompts are computed once for all of them."""
        if not self.shares_start:
            return 0
        start = len(shared_start([example.token_ids[: example.prompt_length] for example in examples]))
        return start if start >= SHARED_FROM else 0

    def add(self, examples: Sequence[TokenizedExample], divisor: float, key: str) -> float | None:
        """Adds the gradients of one micro-batch.

        Args:
            divisor: what the sum over the whole step is divided by; the same for all of its micro-batches.
            key: seeds dropout.

        Returns:
            The micro-batch's part of the step's loss; None where memory ran out.
        """
        try:
            with seeded(self.model.device, key):
                with self._rounded.in_place():
                    loss = self._loss(examples, divisor)
                loss.backward()
            return loss.item()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            # No retry in here: the exception keeps the memory of the failed pass alive.
            return None

    def _loss(self, examples: Sequence[TokenizedExample], divisor: float) -> Tensor:
        config, head, shared = self.config, PlainHead.of(self.model), self.shared(examples)
        weights = torch.tensor([example.weight for example in examples], device=self.model.device)
        if head is None or not too_many_logits(examples, head):
            with autocast(self.model, self.bf16):
                logprobs, mask = token_logprobs(
                    self.model, examples, self.pad_id, config.train_temperature, shared=shared
                )
            return weighted_nll(logprobs, mask, weights, config.loss_normalization) / divisor
        with autocast(self.model, self.bf16):
            states, targets, of_example = completion_states(self.model, examples, self.pad_id, shared=shared)
        if config.loss_normalization == "example":
            weights = weights / torch.bincount(of_example, minlength=len(examples))
        factors = (weights / divisor)[of_example]
        return chunked_weighted_nll(
            states.float(), self._rounded.head(head), targets, factors,
            temperature=config.train_temperature, bf16=self.bf16,
        )  # fmt: skip

    def saved_bytes_per_token(self, example: TokenizedExample) -> float:
        """What the forward pass keeps for the backward pass, without weights and logits: measured on an example."""
        most = max(2, min(len(example.token_ids), MEASURED_TOKENS))
        # Weights are kept as well, in bfloat16 copies of them: only the difference grows with the tokens.
        whole, half = (self._saved_bytes(example.token_ids[:length]) for length in (most, most // 2))
        return (whole - half) / (most - most // 2)

    def _saved_bytes(self, token_ids: Sequence[int]) -> int:
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        ids = torch.tensor([token_ids], device=self.model.device)
        counting = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
        # Dropout draws here, too: the caller's generator stays as it is.
        with seeded(self.model.device, "memory"), counting, autocast(self.model, self.bf16):
            # Held until all is counted, so that no place in memory is used twice.
            _out = self.model(input_ids=ids, use_cache=False, logits_to_keep=1)
        return sum(kept.values())

    def zero_grad(self) -> None:
        for value in self.model.parameters():
            value.grad = None


def enable_gradient_checkpointing(model: Any) -> None:
    """Once per model: each call would register another hook."""
    if not recomputes_activations(model):
        # The method is renamed in transformers: the old name goes in version 6, the new one came in 5.20 or so.
        (getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable)()
