"""Answers that are being written together: those to some prompts that were read together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from selftrain.engines.packed.attention import Pass
from selftrain.engines.packed.compiled_attention import CompiledPass
from selftrain.engines.packed.decoder import Decoder
from selftrain.engines.packed.kv_cache import KVCache
from selftrain.engines.packed.slot_layout import SlotLayout

#: Tokens of prompts computed in one pass, padding included: larger passes leave the caches of a CPU.
TOKENS_AT_ONCE = 2048
#: Tokens of each answer by which the memory grows: fewer would copy often, more would look for long at answers that
#: have ended.
GROWTH = 16


def read(decoder: Decoder, prompts: Sequence[Sequence[int]]) -> tuple[KVCache, Tensor]:
    """Keys and values of prompts, padded on the right to the longest, and the states of their last tokens.

    Args:
        prompts: token ids, at least one of each.

    Returns:
        A memory of `[prompts * kv_heads]` sequences, and `[prompts, hidden]`.
    """
    one, lengths = decoder.architecture, torch.tensor([len(ids) for ids in prompts])
    memory = KVCache.blank(len(one.kinds), len(prompts) * one.kv_heads, int(lengths.max()), one.head_dim)
    last = []
    for first, until in _parts(lengths.tolist()):
        here = lengths[first:until]
        slots = SlotLayout.ragged(here[:, None], one.kv_heads)
        own = memory.part(first * one.kv_heads, until * one.kv_heads)
        token_ids = torch.tensor([token for ids in prompts[first:until] for token in ids])
        look = decoder.make_pass(one, slots, None, here, own)
        states = decoder.hidden(token_ids, slots.place % slots.tokens, look.attend)
        last.append(states[here.cumsum(0) - 1])
    memory.length = int(lengths.max())
    return memory, torch.cat(last)


def _parts(lengths: list[int]) -> list[tuple[int, int]]:
    """Neighbours that are read in one pass, as (first, until)."""
    parts, first = [], 0
    for at in range(1, len(lengths) + 1):
        if at == len(lengths) or max(lengths[first : at + 1]) * (at + 1 - first) > TOKENS_AT_ONCE:
            parts.append((first, at))
            first = at
    return parts


class SequenceGroup:
    """
    Args:
        prompts: token ids; prompts of like length waste little.
        n: answers to each.
        rows: `[prompts * n]`: by what number the caller knows each answer, those to one prompt together.
    """

    def __init__(self, decoder: Decoder, prompts: Sequence[Sequence[int]], n: int, rows: Tensor) -> None:
        self.rows, self._decoder, one = rows, decoder, decoder.architecture
        self._lengths = torch.tensor([len(ids) for ids in prompts])
        self._prompt, self._last = read(decoder, prompts)
        self._own = KVCache.blank(len(one.kinds), len(rows) * one.kv_heads, 0, one.head_dim)
        self._seats = SlotLayout(len(prompts), n, 1, one.kv_heads, torch.arange(len(rows)))

    def first_logits(self) -> Tensor:
        """`[rows, vocabulary]`: of each answer's first token."""
        return self._decoder.logits(self._last).repeat_interleave(self._seats.answers, dim=0)

    def positions(self) -> Tensor:
        """`[rows]`: where in its text the next token of each stands."""
        return self._lengths[self._seats.place // self._seats.answers] + self._own.length

    def next_pass(self, first_row: int) -> Pass | CompiledPass:
        """The pass over one more token of each row. To be followed by `passed`."""
        if self._own.length == self._own.room:
            self._grow()
        return self._decoder.make_pass(
            self._decoder.architecture, self._seats, self._prompt, self._lengths, self._own, first_row
        )

    def passed(self, live: Tensor) -> None:
        """The pass was made; lets go of the rows that are not `live`, a mask of `[rows]`."""
        self._own.length += 1
        self.keep(live)

    def keep(self, live: Tensor) -> None:
        """Lets go of the other rows; `live` is a mask of `[rows]`."""
        if not bool(live.all()):
            self.rows = self.rows[live]
            self._seats = self._seats.only(live)

    def _grow(self) -> None:
        """Makes room. As this copies the memories, it leaves out the empty seats."""
        old, (new, prompts, source) = self._seats, self._seats.closed_up()
        self._own = self._own.only(source, self._own.room + GROWTH)
        if new.prompts < old.prompts:
            heads = torch.arange(old.kv_heads)
            self._prompt = self._prompt.only((prompts[:, None] * old.kv_heads + heads).flatten(), self._prompt.room)
            self._lengths = self._lengths[prompts]
        self._seats = new
