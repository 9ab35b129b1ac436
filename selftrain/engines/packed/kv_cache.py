"""Keys and values that later tokens look back at."""

from __future__ import annotations

import torch
from torch import Tensor

#: Columns that are copied together, `LANES` in kernels.c: within so many, keys of `CompiledPass` cannot be told apart.
BLOCK = 8


class KVCache:
    """Keys and values of some sequences, one per key-value head: `[2, layers, sequences, room, head_dim]`.

    The first `length` columns are written.
    """

    def __init__(self, kept: Tensor, length: int = 0) -> None:
        self._kept, self.length = kept, length

    @classmethod
    def blank(cls, layers: int, sequences: int, room: int, head_dim: int) -> KVCache:
        """All zeros: what is masked out is multiplied by zero, and has to be a number for that."""
        return cls(torch.zeros(2, layers, sequences, _in_blocks(room), head_dim))

    @property
    def room(self) -> int:
        return self._kept.shape[3]

    def layer(self, number: int) -> tuple[Tensor, Tensor]:
        """Its keys and values, `[sequences, room, head_dim]` each, sharing storage."""
        keys, values = self._kept[:, number]
        return keys, values

    def part(self, first: int, last: int) -> KVCache:
        """Some of the sequences, sharing storage."""
        return KVCache(self._kept[:, :, first:last], self.length)

    def columns(self, first: int, last: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Keys and values by layer, `[sequences, columns, head_dim]` each, sharing storage."""
        keys, values = self._kept[:, :, :, first:last]
        return keys.unbind(), values.unbind()

    def only(self, sequences: Tensor, room: int) -> KVCache:
        """A copy of some sequences, with room for so many columns at least."""
        written = _in_blocks(self.length)
        old = self._kept[:, :, :, :written]
        new = old.new_empty(*old.shape[:2], len(sequences), _in_blocks(room), old.shape[-1])
        new[:, :, :, :written] = old[:, :, sequences]
        return KVCache(new, self.length)


def _in_blocks(columns: int) -> int:
    return -(-columns // BLOCK) * BLOCK
