"""One optimizer step: in micro-batches that fit into memory, and with no update from what is no finite number."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from selftrain.learning.base import Learning
from selftrain.learning.faults import no_room_for_moments, too_long
from selftrain.learning.loss import normalizer, weighted_nll
from selftrain.out_of_memory import is_out_of_memory
from selftrain.rendering import Row, batches_by_tokens
from selftrain.scoring import autocast, token_logprobs
from selftrain.types import TrainingExample


class Stepper:
    """Makes the steps of one training; `rows` are its `examples` as token ids.

    Args:
        pad_id: filler outside every mask.
        bf16: compute the forward pass under bfloat16 autocast.
    """

    def __init__(
        self, model: Any, optimizer: torch.optim.Optimizer, rows: Sequence[Row], examples: Sequence[TrainingExample],
        learning: Learning, pad_id: int, bf16: bool,
    ) -> None:  # fmt: skip
        self.model, self.optimizer, self.rows, self.examples = model, optimizer, rows, examples
        self.learning, self.pad_id, self.bf16 = learning, pad_id, bf16
        #: Tokens of one micro-batch, padding included; lowered for good where memory does not suffice.
        self.budget = learning.max_tokens_per_batch

    def step(self, indices: Sequence[int], learning_rate: float, key: str) -> float | None:
        """Learns from some rows. What chance there is (dropout) is a function of `key`.

        Returns:
            The loss before the update; None where it or its gradient is no finite number, and no weight was changed.

        Raises:
            ModelError: memory does not suffice for one of the rows, or for the optimizer.
        """
        loss = self._gradients(indices, key)
        while loss is None:  # memory did not suffice: all of it again, in smaller micro-batches
            loss = self._gradients(indices, key)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.learning.max_grad_norm)
        finite = math.isfinite(loss) and math.isfinite(norm.item())
        if finite:
            self._update(learning_rate)
        self.optimizer.zero_grad(set_to_none=True)
        return loss if finite else None

    def offenders(self, indices: Sequence[int], key: str) -> list[int]:
        """Which of some rows have alone a loss or gradient that is no finite number."""
        divisor, found = self._divisor(indices), []
        for index in indices:
            with _chance(self.model.device, key):
                loss = self._backward([self.rows[index]], divisor)
            gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
            norm = torch.nn.utils.get_total_norm(gradients).item()
            # None is a lack of memory, which is no fault of the example's.
            if loss is not None and not (math.isfinite(loss) and math.isfinite(norm)):
                found.append(index)
            self.optimizer.zero_grad(set_to_none=True)
        return found

    def _divisor(self, indices: Sequence[int]) -> float:
        return normalizer([self.rows[i] for i in indices], self.learning.loss_normalization)

    def _gradients(self, indices: Sequence[int], key: str) -> float | None:
        """Adds up the gradients of a step and gives its loss; None where memory did not suffice.

        What the loss is divided by is known beforehand, so it is the same in whatever micro-batches.
        """
        self.model.train()
        divisor, loss = self._divisor(indices), 0.0
        with _chance(self.model.device, key):
            for batch in batches_by_tokens([self.rows[i] for i in indices], self.budget):
                part = self._backward([self.rows[indices[place]] for place in batch], divisor)
                if part is None:
                    self.optimizer.zero_grad(set_to_none=True)
                    self._lower_budget([indices[place] for place in batch])
                    return None
                loss += part
        return loss

    def _backward(self, rows: Sequence[Row], divisor: float) -> float | None:
        """The gradients of one micro-batch, added to what is there; None where memory does not suffice."""
        try:
            with autocast(self.model, self.bf16):
                logprobs, mask = token_logprobs(self.model, rows, self.pad_id, self.learning.train_temperature)
            weights = torch.tensor([row.weight for row in rows], device=logprobs.device)
            loss = weighted_nll(logprobs, mask, weights, self.learning.loss_normalization) / divisor
            loss.backward()
            return loss.item()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            # Nothing is tried again in here: the error still holds on to the memory of the failed pass.
            return None

    def _lower_budget(self, batch: Sequence[int]) -> None:
        longest = max(len(self.rows[i].token_ids) for i in batch)
        if len(batch) == 1:
            raise too_long(self.examples[batch[0]], longest, self.learning)
        # A micro-batch need not fill the budget: half of what this one held is sure to cut it.
        self.budget = min(self.budget, len(batch) * longest) // 2

    def _update(self, learning_rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        try:
            self.optimizer.step()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise no_room_for_moments(sum(p.numel() for p in self.model.parameters() if p.requires_grad)) from error


@contextmanager
def _chance(device: torch.device, key: str) -> Iterator[None]:
    """Torch's chance as a function of `key`, so that no generator's state has to be kept; nobody else's is touched."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(random.Random(key).getrandbits(63))
        yield
