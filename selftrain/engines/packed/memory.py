"""Keys and values that later tokens look back at."""

from __future__ import annotations

import torch
from torch import Tensor

#: Columns by which a memory grows: too few would copy often, too many would spread what is read over more pages.
GROWTH = 16


class Memory:
    """Keys and values of some sequences, one per key-value head: `[2, layers, sequences, room, head_dim]`.

    The first `length` columns are written.
    """

    def __init__(self, kept: Tensor, length: int = 0) -> None:
        self._kept, self.length = kept, length

    @classmethod
    def blank(cls, layers: int, sequences: int, room: int, head_dim: int) -> Memory:
        """All zeros: what is masked out is multiplied by zero, and has to be a number for that."""
        return cls(torch.zeros(2, layers, sequences, room, head_dim))

    def part(self, first: int, last: int) -> Memory:
        """Some of the sequences, sharing storage."""
        return Memory(self._kept[:, :, first:last], self.length)

    def columns(self, first: int, last: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Keys and values by layer, `[sequences, columns, head_dim]` each, sharing storage."""
        keys, values = self._kept[:, :, :, first:last]
        return keys.unbind(), values.unbind()

    def with_room(self, columns: int) -> Memory:
        """Itself where `columns` more fit, else a larger copy."""
        if self.length + columns <= self._kept.shape[3]:
            return self
        return self._copied(None, self.length + columns)

    def only(self, sequences: Tensor) -> Memory:
        """A copy of some sequences."""
        return self._copied(sequences, self.length)

    def _copied(self, sequences: Tensor | None, room: int) -> Memory:
        old = self._kept[:, :, :, : self.length]
        count = old.shape[2] if sequences is None else len(sequences)
        new = old.new_empty(*old.shape[:2], count, -(-room // GROWTH) * GROWTH, old.shape[-1])
        new[:, :, :, : self.length] = old if sequences is None else old[:, :, sequences]
        return Memory(new, self.length)
