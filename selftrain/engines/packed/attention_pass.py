"""Attention in one forward pass: each completion attends to the start that all prompts share, to its prompt,
which its siblings share, and to itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from selftrain.engines.packed.kv_cache import KVCache


@dataclass
class AttentionCache:
    """What the rows of a pass attend to.

    Args:
        own: `[prompts * kv_heads * completions]` sequences, with capacity for the new tokens; of the prompts
            themselves while these are read.
        prompt_lengths: `[prompts]`.
        prompt: `[prompts * kv_heads]` sequences, padded on the right; None while the prompts are read.
        shared: `[kv_heads]` sequences of the text that all prompts start with, where it is kept apart; neither `prompt`
            nor `prompt_lengths` has it then. Only the compiled attention keeps it apart.
    """

    own: KVCache
    prompt_lengths: Tensor
    prompt: KVCache | None = None
    shared: KVCache | None = None

    @property
    def shared_columns(self) -> int:
        return 0 if self.shared is None else self.shared.length

    @property
    def prompt_columns(self) -> int:
        return 0 if self.prompt is None else self.prompt.length


class AttentionPass(Protocol):
    """Attention of one forward pass over the rows of a `SlotLayout`.

    Two classes compute it. The order of keys in a cache differs between them, so a cache is for one class only.
    """

    def attend(self, layer: int, qkv: Tensor) -> Tensor:
        """Caches the rows' keys and values, and computes their attention.

        Args:
            qkv: `[all rows, kv_heads, group + 2, head_dim]`: rotated queries, key and value of every row of the pass;
                the rows of this layout are consecutive ones among them.

        Returns:
            `[rows of this layout, heads * head_dim]`.
        """
        ...
