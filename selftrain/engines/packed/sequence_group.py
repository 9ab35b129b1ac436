"""Completions that are decoded together: those of some prompts that were read together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from selftrain.engines.packed.attention_pass import AttentionCache, AttentionPass
from selftrain.engines.packed.decoder import Decoder
from selftrain.engines.packed.kv_cache import KVCache
from selftrain.engines.packed.slot_layout import SlotLayout

#: Tokens of prompts per pass, padding included: larger passes do not fit into a CPU's caches.
TOKENS_PER_PASS = 2048
#: Columns by which the cache of completions grows. Fewer would copy often, more would attend to completions that ended.
GROWTH = 16


@dataclass(frozen=True)
class PromptStates:
    """Prompts after their forward pass.

    Args:
        cache: `[prompts * kv_heads]` sequences, padded on the right.
        lengths: `[prompts]`.
        last: `[prompts, hidden]`: states of their last tokens.
        shared: see `AttentionCache`.
    """

    cache: KVCache
    lengths: Tensor
    last: Tensor
    shared: KVCache | None = None

    def attention_cache(self, own: KVCache) -> AttentionCache:
        return AttentionCache(own, self.lengths, self.cache, self.shared)

    def positions(self) -> Tensor:
        """`[prompts]`: of the first token of a completion."""
        return self.lengths + (0 if self.shared is None else self.shared.length)


def read_prompts(decoder: Decoder, prompts: Sequence[Sequence[int]], start: tuple[int, ...] = ()) -> PromptStates:
    """The forward pass over the token ids of prompts, of which none is empty.

    Args:
        start: what they all start with, which is computed once, and kept until other prompts start otherwise.
    """
    if start:
        return _read_after(decoder, prompts, start)
    architecture, lengths = decoder.architecture, torch.tensor([len(ids) for ids in prompts])
    layers, kv_heads, longest = len(architecture.layer_types), architecture.kv_heads, int(lengths.max())
    cache = KVCache.empty(layers, len(prompts) * kv_heads, longest, architecture.head_dim)
    last = []
    for first, until in _passes(lengths.tolist()):
        own_lengths = lengths[first:until]
        layout = SlotLayout.ragged(own_lengths[:, None], kv_heads)
        own = cache.sequences(first * kv_heads, until * kv_heads)
        token_ids = torch.tensor([token for ids in prompts[first:until] for token in ids])
        attend = decoder.attention_pass(layout, AttentionCache(own, own_lengths)).attend
        states = decoder.hidden_states(token_ids, layout.place % layout.tokens, attend)
        last.append(states[own_lengths.cumsum(0) - 1])
    cache.length = longest
    return PromptStates(cache, lengths, torch.cat(last))


def _read_after(decoder: Decoder, prompts: Sequence[Sequence[int]], start: tuple[int, ...]) -> PromptStates:
    """The rest of each prompt is read as a completion of their start."""
    if start not in decoder.starts:
        decoder.starts = {start: read_prompts(decoder, [start]).cache}
    shared, architecture, rests = decoder.starts[start], decoder.architecture, [ids[len(start) :] for ids in prompts]
    lengths, kv_heads, layers = torch.tensor([*map(len, rests)]), architecture.kv_heads, len(architecture.layer_types)
    longest, start_length = int(lengths.max()), torch.tensor([len(start)])
    cache, last = KVCache.empty(layers, len(prompts) * kv_heads, longest, architecture.head_dim), []
    for first, until in _passes(lengths.tolist()):
        own_lengths, count = lengths[first:until], until - first
        layout = SlotLayout.ragged(own_lengths[None], kv_heads)
        own = KVCache.empty(layers, count * kv_heads, layout.tokens, architecture.head_dim)
        attend = decoder.attention_pass(layout, AttentionCache(own, start_length, shared)).attend
        token_ids = torch.tensor([token for ids in rests[first:until] for token in ids])
        states = decoder.hidden_states(token_ids, len(start) + layout.place % layout.tokens, attend)
        last.append(states[own_lengths.cumsum(0) - 1])
        own.length = layout.tokens
        cache.put(first * kv_heads, own, torch.arange(count * kv_heads).view(kv_heads, count).t().flatten())
    cache.length = longest
    if decoder.compiled:
        return PromptStates(cache, lengths, torch.cat(last), shared)
    return PromptStates(cache.after(shared), lengths + len(start), torch.cat(last))


def _passes(lengths: list[int]) -> list[tuple[int, int]]:
    """Neighbouring prompts that are read in one pass, as (first, until)."""
    parts, first = [], 0
    for at in range(1, len(lengths) + 1):
        if at == len(lengths) or max(lengths[first : at + 1]) * (at + 1 - first) > TOKENS_PER_PASS:
            parts.append((first, at))
            first = at
    return parts


class SequenceGroup:
    """
    Args:
        prompts: token ids; prompts of similar length waste little.
        n: completions of each.
        rows: `[prompts * n]`: the caller's index of each completion, those of one prompt together.
        start: see `read_prompts`.
    """

    def __init__(
        self, decoder: Decoder, prompts: Sequence[Sequence[int]], n: int, rows: Tensor, start: tuple[int, ...] = ()
    ) -> None:
        self.rows, self._decoder, architecture = rows, decoder, decoder.architecture
        read = read_prompts(decoder, prompts, start)
        self._last = read.last
        layers, kv_heads = len(architecture.layer_types), architecture.kv_heads
        own = KVCache.empty(layers, len(rows) * kv_heads, 0, architecture.head_dim)
        self._cache = read.attention_cache(own)
        self._layout = SlotLayout(len(prompts), n, 1, kv_heads, place=torch.arange(len(rows)))

    def first_logits(self) -> Tensor:
        """`[rows, vocabulary]`: of the first token of each completion."""
        return self._decoder.logits(self._last).repeat_interleave(self._layout.completions, dim=0)

    def positions(self) -> Tensor:
        """`[rows]`: of the next token of each."""
        before = self._cache.shared_columns + self._cache.own.length
        return self._cache.prompt_lengths[self._layout.place // self._layout.completions] + before

    def next_pass(self, first_row: int) -> AttentionPass:
        """The pass over one more token of each row; `finish_pass` has to follow."""
        if self._cache.own.length == self._cache.own.capacity:
            self._grow()
        return self._decoder.attention_pass(self._layout, self._cache, first_row)

    def finish_pass(self, live: Tensor) -> None:
        """Drops the rows that are not `live`, a mask of `[rows]`."""
        self._cache.own.length += 1
        self.keep(live)

    def keep(self, live: Tensor) -> None:
        """Drops all other rows; `live` is a mask of `[rows]`."""
        if not bool(live.all()):
            self.rows = self.rows[live]
            self._layout = self._layout.keep(live)

    def _grow(self) -> None:
        """Adds capacity. As this copies the caches, it leaves out empty slots."""
        old, cache, (new, prompts, source) = self._layout, self._cache, self._layout.compacted()
        cache.own = cache.own.copy_of(source, cache.own.capacity + GROWTH)
        if new.prompts < old.prompts and cache.prompt is not None:
            heads = torch.arange(old.kv_heads)
            sequences = (prompts[:, None] * old.kv_heads + heads).flatten()
            cache.prompt = cache.prompt.copy_of(sequences, cache.prompt.capacity)
            cache.prompt_lengths = cache.prompt_lengths[prompts]
        self._layout = new
