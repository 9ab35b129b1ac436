"""One optimizer step: in micro-batches that fit into memory, and with no update from what is no finite number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from selftrain.models.out_of_memory import is_out_of_memory
from selftrain.models.rendering import Row, batches_by_tokens
from selftrain.training.base import TrainingConfig
from selftrain.training.failures import no_room_for_moments, too_long
from selftrain.training.followers import Followers, shares
from selftrain.training.gradients import Gradients
from selftrain.training.loss import normalizer
from selftrain.types import TrainingExample


class Stepper:
    """Makes the steps of one training; `rows` are its `examples` as token ids.

    Args:
        followers: other processes that compute gradients, too; None where this one is alone.
    """

    def __init__(
        self, gradients: Gradients, optimizer: torch.optim.Optimizer, rows: Sequence[Row],
        examples: Sequence[TrainingExample], training: TrainingConfig, followers: Followers | None = None,
    ) -> None:  # fmt: skip
        self.gradients, self.optimizer, self.rows, self.examples = gradients, optimizer, rows, examples
        self.training, self._followers = training, followers
        #: Tokens of one micro-batch, padding included; lowered for good where memory does not suffice.
        self.budget = training.max_tokens_per_batch

    @property
    def model(self) -> Any:
        return self.gradients.model

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
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.training.max_grad_norm)
        finite = math.isfinite(loss) and math.isfinite(norm.item())
        if finite:
            self._update(learning_rate)
        self.optimizer.zero_grad(set_to_none=True)
        return loss if finite else None

    def offenders(self, indices: Sequence[int], key: str) -> list[int]:
        """Which of some rows have alone a loss or gradient that is no finite number."""
        divisor, found = self._divisor(indices), []
        for index in indices:
            loss = self.gradients.add([self.rows[index]], divisor, key)
            gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
            norm = torch.nn.utils.get_total_norm(gradients).item()
            # None is a lack of memory, which is no fault of the example's.
            if loss is not None and not (math.isfinite(loss) and math.isfinite(norm)):
                found.append(index)
            self.optimizer.zero_grad(set_to_none=True)
        return found

    def _divisor(self, indices: Sequence[int]) -> float:
        return normalizer([self.rows[i] for i in indices], self.training.loss_normalization)

    def _gradients(self, indices: Sequence[int], key: str) -> float | None:
        """Adds up the gradients of a step and gives its loss; None where memory did not suffice.

        What the loss is divided by is known beforehand, so it is the same in whatever micro-batches.
        """
        divisor = self._divisor(indices)
        batches = [
            [indices[place] for place in batch]
            for batch in batches_by_tokens([self.rows[i] for i in indices], self.budget)
        ]
        losses = self._losses([[self.rows[i] for i in batch] for batch in batches], divisor, key)
        failed = next((number for number, loss in losses.items() if loss is None), None)
        if failed is not None:
            self.gradients.forget()
            self._lower_budget(batches[failed])
            return None
        if self._followers is not None:
            self._followers.add_up(self.model)
        # In one order, so that the sum is the same in however many processes.
        return sum(losses[number] or 0.0 for number in range(len(batches)))

    def _losses(self, batches: Sequence[Sequence[Row]], divisor: float, key: str) -> dict[int, float | None]:
        """Of micro-batches by number, while their gradients are added up; None where memory did not suffice."""
        if self._followers is None:
            return self._own_losses(batches, range(len(batches)), divisor, key)
        sizes = [len(batch) * max(len(row.token_ids) for row in batch) for batch in batches]
        mine, *theirs = shares(sizes, self._followers.size)
        with self._followers.sharing_cores():
            asked = [{number: batches[number] for number in share} for share in theirs]
            self._followers.ask(self.model, asked, divisor, key)
            return self._own_losses(batches, mine, divisor, key) | self._followers.losses()

    def _own_losses(
        self, batches: Sequence[Sequence[Row]], mine: Sequence[int], divisor: float, key: str
    ) -> dict[int, float | None]:
        losses: dict[int, float | None] = {}
        for number in mine:
            losses[number] = self.gradients.add(batches[number], divisor, f"{key}/{number}")
            if losses[number] is None:
                break
        return losses

    def _lower_budget(self, batch: Sequence[int]) -> None:
        longest = max(len(self.rows[i].token_ids) for i in batch)
        if len(batch) == 1:
            raise too_long(self.examples[batch[0]], longest, self.training)
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
