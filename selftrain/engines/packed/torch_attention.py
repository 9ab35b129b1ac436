"""Attention by torch's matrix products, over rectangles of slots."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from selftrain.engines.packed.architecture import Architecture
from selftrain.engines.packed.attention_pass import AttentionCache
from selftrain.engines.packed.slot_layout import SlotLayout


class TorchPass:
    """See `AttentionPass`.

    Args:
        first_row: index of the layout's first row among all rows of the pass.
    """

    def __init__(self, architecture: Architecture, layout: SlotLayout, cache: AttentionCache, first_row: int) -> None:
        self.architecture, self.layout, own = architecture, layout, cache.own
        self._slot_of_row = layout.slot_of_row()
        self._row_of_slot = layout.row_of_slot(self._slot_of_row) + first_row * layout.kv_heads
        self._new = own.columns(own.length, own.length + layout.tokens)
        self._own = own.columns(0, own.length + layout.tokens)
        self._columns = cache.prompt_columns
        self._prompt = None if cache.prompt is None else cache.prompt.columns(0, self._columns)
        self._biases = {
            kind: tuple(map(_bias, self._hidden(own.length, cache.prompt_lengths, window)))
            for kind, window in architecture.windows.items()
        }

    def attend(self, layer: int, qkv: Tensor) -> Tensor:
        group, dim, tokens = self.architecture.group, self.architecture.head_dim, self.layout.tokens
        parts = qkv.view(-1, (group + 2) * dim).split((group * dim, dim, dim), dim=1)
        q, k, v = (part.index_select(0, self._row_of_slot) for part in parts)
        for cached, new in zip(self._new, (k, v), strict=True):
            cached[layer].copy_(new.view(-1, tokens, dim))
        out = self._mixed(layer, q.view(-1, tokens * group, dim)).view(-1, group * dim)
        return out.index_select(0, self._slot_of_row).view(-1, self.architecture.heads * dim)

    def _mixed(self, layer: int, q: Tensor) -> Tensor:
        """Each query's weighted mean of values; `[sequences, tokens * group, head_dim]`."""
        keys, values = (cached[layer] for cached in self._own)
        if self._prompt is None:
            return self._within_prompt(layer, q, keys, values)
        keys_of_prompt, values_of_prompt = (cached[layer] for cached in self._prompt)
        columns, shared = self._columns, (len(keys_of_prompt), -1, q.shape[-1])
        of_prompt = torch.bmm(q.view(shared), keys_of_prompt.transpose(1, 2)).view(*q.shape[:2], columns)
        weights = self._weights(layer, torch.cat((of_prompt, torch.bmm(q, keys.transpose(1, 2))), dim=-1))
        of_prompt = weights.view(len(keys_of_prompt), -1, weights.shape[-1])[..., :columns]
        return torch.bmm(of_prompt, values_of_prompt).view_as(q).baddbmm_(weights[..., columns:], values)

    def _within_prompt(self, layer: int, q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """The same for the tokens of prompts, which attend to their own prompt only."""
        architecture, tokens = self.architecture, self.layout.tokens
        window, group = architecture.windows[architecture.layer_types[layer]], architecture.group
        if architecture.attention_softcap is not None or (window is not None and window < tokens):
            return torch.bmm(self._weights(layer, torch.bmm(q, keys.transpose(1, 2))), values)
        # torch's fused kernel never holds all scores at once: five times as fast at 1,000 tokens.
        q = q.view(-1, tokens, group, architecture.head_dim).transpose(1, 2)[None]
        keys, values = (part[None, :, None].expand(-1, -1, group, -1, -1).flatten(1, 2) for part in (keys, values))
        out = F.scaled_dot_product_attention(q.flatten(1, 2), keys, values, is_causal=True, scale=1.0)
        return out.view(-1, group, tokens, architecture.head_dim).transpose(1, 2).flatten(1, 2)

    def _weights(self, layer: int, scores: Tensor) -> Tensor:
        """Softmax of the scores, whose first columns are those of the prompt; may overwrite them."""
        architecture, tokens = self.architecture, self.layout.tokens
        if architecture.attention_softcap is not None:
            soft_cap(scores, architecture.attention_softcap)
        of_prompt, of_own = self._biases[architecture.layer_types[layer]]
        if of_prompt is not None:
            by_prompt = scores.view(self.layout.prompts, -1, tokens, architecture.group, scores.shape[-1])
            by_prompt[..., : self._columns] += of_prompt[:, None, :, None]
        if of_own is not None:
            by_token = scores.view(-1, tokens, architecture.group, scores.shape[-1])
            by_token[..., self._columns :] += of_own[:, None]
        return scores.softmax(dim=-1)

    def _hidden(self, start: int, prompt_lengths: Tensor, window: int | None) -> tuple[Tensor, Tensor]:
        """Masks of what a row must not attend to.

        Returns:
            Of the prompt, `[prompts, 1 or tokens, prompt columns]`, and of its own tokens, `[tokens, own columns]`.
        """
        row, own = torch.arange(start, start + self.layout.tokens)[:, None], torch.arange(start + self.layout.tokens)
        prompt = torch.arange(self._columns)
        hidden_of_prompt, hidden_of_own = (prompt >= prompt_lengths[:, None])[:, None], own > row
        if window is not None:
            hidden_of_own = hidden_of_own | (own <= row - window)
            hidden_of_prompt = hidden_of_prompt | (prompt <= prompt_lengths[:, None, None] + row - window)
        return hidden_of_prompt, hidden_of_own


def _bias(hidden: Tensor) -> Tensor | None:
    """Minus infinity where hidden, else 0; None where nothing is hidden."""
    return torch.zeros(hidden.shape).masked_fill_(hidden, -torch.inf) if bool(hidden.any()) else None


def soft_cap(x: Tensor, cap: float) -> Tensor:
    """Squeezes into (-cap, cap), in place."""
    return x.div_(cap).tanh_().mul_(cap)
