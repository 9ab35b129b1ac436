"""One optimizer step: micro-batches that fit into memory, and no update from a loss or gradient that is not finite."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from selftrain.models.out_of_memory import is_out_of_memory
from selftrain.models.rendering import TokenizedExample, batches_by_tokens
from selftrain.training.base import MAX_BYTES_KEPT, MAX_TOKENS, TrainingJob
from selftrain.training.failures import example_out_of_memory, optimizer_out_of_memory
from selftrain.training.gradients import GradientAccumulator
from selftrain.training.loss import normalizer
from selftrain.training.tensors import whole


class Stepper:
    """Makes the optimizer steps of one training.

    Args:
        examples: those of `job`, tokenized, in the same order.
    """

    def __init__(
        self, gradients: GradientAccumulator, optimizer: torch.optim.Optimizer,
        examples: Sequence[TokenizedExample], job: TrainingJob,
    ) -> None:  # fmt: skip
        self.gradients, self.optimizer, self.examples = gradients, optimizer, examples
        self._job, self._config = job, job.config
        #: Tokens that all prompts start with, and that each micro-batch computes once.
        self._shared = gradients.shared(examples)
        #: Tokens of one micro-batch, padding included, beside a shared start, which is computed again for each: as many
        #: tokens as it has are worth it. Lowered for good where memory runs out.
        self.max_tokens_per_batch = job.config.max_tokens_per_batch or max(self._measured_max_tokens(), self._shared)

    @property
    def model(self) -> Any:
        return self.gradients.model

    def _measured_max_tokens(self) -> int:
        """A function of the model alone: a run that is resumed elsewhere has the same micro-batches."""
        if self.model.device.type != "cpu" or not self.examples:
            return MAX_TOKENS
        try:
            kept = self.gradients.saved_bytes_per_token(self.examples[0])
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return MAX_TOKENS  # the first step will name the example that does not fit
        return max(1, min(MAX_TOKENS, int(MAX_BYTES_KEPT / kept)))

    def step(self, indices: Sequence[int], learning_rate: float, key: str) -> float | None:
        """One update from the examples at `indices`; `key` seeds dropout.

        Returns:
            The loss before the update; None where it or its gradient is not finite, and no weight was changed.

        Raises:
            ModelError: out of memory on a single example, or in the optimizer.
        """
        loss = self._accumulate(indices, key)
        while loss is None:  # out of memory: the whole step again, in smaller micro-batches
            loss = self._accumulate(indices, key)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self._config.max_grad_norm)
        finite = math.isfinite(loss) and math.isfinite(whole(norm).item())
        if finite:
            self._update(learning_rate)
        self.optimizer.zero_grad(set_to_none=True)
        return loss if finite else None

    def not_finite_examples(self, indices: Sequence[int], key: str) -> list[int]:
        """Those of some examples whose loss or gradient alone is not finite."""
        divisor, found = self._divisor(indices), []
        for index in indices:
            loss = self.gradients.add([self.examples[index]], divisor, key)
            gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
            norm = whole(torch.nn.utils.get_total_norm(gradients)).item()
            # None is out of memory, which says nothing about the example's values.
            if loss is not None and not (math.isfinite(loss) and math.isfinite(norm)):
                found.append(index)
            self.optimizer.zero_grad(set_to_none=True)
        return found

    def _divisor(self, indices: Sequence[int]) -> float:
        return normalizer([self.examples[i] for i in indices], self._config.loss_normalization)

    def _accumulate(self, indices: Sequence[int], key: str) -> float | None:
        """Accumulates the gradients of a step and returns its loss; None where memory ran out.

        The divisor is that of the whole step, so the loss does not depend on how it is cut into micro-batches.
        """
        divisor = self._divisor(indices)
        cut = batches_by_tokens([self.examples[i] for i in indices], self.max_tokens_per_batch, shared=self._shared)
        batches = [[indices[place] for place in batch] for batch in cut]
        losses = self._losses(batches, divisor, key)
        failed = next((number for number, loss in losses.items() if loss is None), None)
        if failed is not None:
            self.gradients.zero_grad()
            self._lower_max_tokens(batches[failed])
            return None
        # Always in this order, so that the sum does not depend on the number of processes.
        return sum(losses[number] or 0.0 for number in range(len(batches)))

    def _losses(self, batches: Sequence[Sequence[int]], divisor: float, key: str) -> Mapping[int, float | None]:
        """Of each micro-batch by number, while gradients are accumulated; None where memory ran out."""
        losses: dict[int, float | None] = {}
        for number, batch in enumerate(batches):
            losses[number] = self.gradients.add([self.examples[i] for i in batch], divisor, f"{key}/{number}")
            if losses[number] is None:
                break
        return losses

    def _tokens(self, batch: Sequence[int]) -> int:
        """Padding included, beside a shared start."""
        return len(batch) * max(len(self.examples[i].token_ids) - self._shared for i in batch)

    def _lower_max_tokens(self, failed: Sequence[int]) -> None:
        if len(failed) == 1:
            raise example_out_of_memory(
                self._job.examples[failed[0]], self._shared + self._tokens(failed), self._config
            )
        # The failed micro-batch may be smaller than the limit; half of its own size is sure to split it.
        self.max_tokens_per_batch = min(self.max_tokens_per_batch, self._tokens(failed)) // 2

    def _update(self, learning_rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        try:
            self.optimizer.step()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise optimizer_out_of_memory(sum(p.numel() for p in self.model.parameters() if p.requires_grad)) from error
