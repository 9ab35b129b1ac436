"""Keys and values of earlier tokens."""

from __future__ import annotations

import torch
from torch import Tensor

#: Columns copied together: `LANES` in kernels.c. The compiled attention interleaves the keys of so many columns.
BLOCK = 8


class KVCache:
    """Keys and values of sequences, one sequence per key-value head: `[2, layers, sequences, capacity, head_dim]`.

    A column is a token of a sequence; the first `length` columns are written.
    """

    def __init__(self, data: Tensor, length: int = 0) -> None:
        self._data, self.length = data, length

    @classmethod
    def empty(cls, layers: int, sequences: int, capacity: int, head_dim: int) -> KVCache:
        """All zeros: masked columns are multiplied by zero, which has to give zero."""
        return cls(torch.zeros(2, layers, sequences, _whole_blocks(capacity), head_dim))

    @property
    def capacity(self) -> int:
        return self._data.shape[3]

    def layer(self, number: int) -> tuple[Tensor, Tensor]:
        """A layer's keys and values, `[sequences, capacity, head_dim]` each, sharing storage."""
        keys, values = self._data[:, number]
        return keys, values

    def sequences(self, first: int, last: int) -> KVCache:
        """Some of the sequences, sharing storage."""
        return KVCache(self._data[:, :, first:last], self.length)

    def put(self, first: int, other: KVCache, order: Tensor) -> None:
        """Copies sequences of `other`, in this order, to those from `first` on."""
        written = _whole_blocks(other.length)
        self._data[:, :, first : first + len(order), :written] = other._data[:, :, order, :written]

    def after(self, start: KVCache) -> KVCache:
        """A copy whose sequences begin with the columns of `start`: whole blocks, and a sequence for each head."""
        assert start.length % BLOCK == 0
        columns = start._data[:, :, :, : start.length].repeat(1, 1, self._data.shape[2] // start._data.shape[2], 1, 1)
        return KVCache(torch.cat((columns, self._data), dim=3), start.length + self.length)

    def columns(self, first: int, last: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Keys and values by layer, `[sequences, columns, head_dim]` each, sharing storage."""
        keys, values = self._data[:, :, :, first:last]
        return keys.unbind(), values.unbind()

    def copy_of(self, sequences: Tensor, capacity: int) -> KVCache:
        """A copy of the sequences at these indices, with at least this capacity."""
        written = _whole_blocks(self.length)
        old = self._data[:, :, :, :written]
        new = old.new_empty(*old.shape[:2], len(sequences), _whole_blocks(capacity), old.shape[-1])
        new[:, :, :, :written] = old[:, :, sequences]
        return KVCache(new, self.length)


def _whole_blocks(columns: int) -> int:
    return -(-columns // BLOCK) * BLOCK
