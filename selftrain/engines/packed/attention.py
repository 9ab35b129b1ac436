"""Attention of one pass: every answer looks at its prompt, which its siblings share, and at its own tokens."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from selftrain.engines.packed.architecture import Architecture
from selftrain.engines.packed.kv_cache import KVCache
from selftrain.engines.packed.slot_layout import SlotLayout


class Pass:
    """One forward pass over the tokens in `slots`.

    Args:
        prompt: what they all look back at, `[prompts * kv_heads]` sequences; None where the prompts are being read.
        prompt_lengths: `[prompts]`: the rest of `prompt` is padding, on the right.
        own: where the tokens' own keys and values go, `[prompts * kv_heads * answers]` sequences, with room for them.
        first_row: of the rows in `slots`, among all rows that are computed.
    """

    def __init__(
        self,
        architecture: Architecture,
        slots: SlotLayout,
        prompt: KVCache | None,
        prompt_lengths: Tensor,
        own: KVCache,
        first_row: int = 0,
    ) -> None:
        self.architecture, self.slots = architecture, slots
        self._seat_of_row = slots.seat_of_row()
        self._row_in_seat = slots.row_in_seat(self._seat_of_row) + first_row * slots.kv_heads
        self._new = own.columns(own.length, own.length + slots.tokens)
        self._own = own.columns(0, own.length + slots.tokens)
        self._columns = 0 if prompt is None else prompt.length
        self._prompt = None if prompt is None else prompt.columns(0, prompt.length)
        hidden = {kind: self._hidden(own.length, prompt_lengths, w) for kind, w in architecture.windows.items()}
        self._biases = {kind: (_bias(of_prompt), _bias(of_own)) for kind, (of_prompt, of_own) in hidden.items()}

    def attend(self, number: int, qkv: Tensor) -> Tensor:
        """What the rows in `slots` take from attention in layer `number`; see `decoder.Attend`."""
        group, dim, tokens = self.architecture.group, self.architecture.head_dim, self.slots.tokens
        parts = qkv.view(-1, (group + 2) * dim).split((group * dim, dim, dim), dim=1)
        q, k, v = (part.index_select(0, self._row_in_seat) for part in parts)
        for kept, new in zip(self._new, (k, v), strict=True):
            kept[number].copy_(new.view(-1, tokens, dim))
        out = self._mixed(number, q.view(-1, tokens * group, dim)).view(-1, group * dim)
        return out.index_select(0, self._seat_of_row).view(-1, self.architecture.heads * dim)

    def _mixed(self, number: int, q: Tensor) -> Tensor:
        """Each query's mean of the values it sees; `[sequences, tokens * group, head_dim]`."""
        keys, values = (kept[number] for kept in self._own)
        if self._prompt is None:
            return self._read(number, q, keys, values)
        keys_of_prompt, values_of_prompt = (kept[number] for kept in self._prompt)
        columns, shared = self._columns, (len(keys_of_prompt), -1, q.shape[-1])
        of_prompt = torch.bmm(q.view(shared), keys_of_prompt.transpose(1, 2)).view(*q.shape[:2], columns)
        weights = self._weights(number, torch.cat((of_prompt, torch.bmm(q, keys.transpose(1, 2))), dim=-1))
        of_prompt = weights.view(len(keys_of_prompt), -1, weights.shape[-1])[..., :columns]
        return torch.bmm(of_prompt, values_of_prompt).view_as(q).baddbmm_(weights[..., columns:], values)

    def _read(self, number: int, q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """The same for the tokens of prompts, which look at themselves alone."""
        one, tokens = self.architecture, self.slots.tokens
        window = one.windows[one.kinds[number]]
        if one.score_cap is not None or (window is not None and window < tokens):
            return torch.bmm(self._weights(number, torch.bmm(q, keys.transpose(1, 2))), values)
        # torch's own, which never holds all scores at once: 1,000 tokens are read five times as fast.
        q = q.view(-1, tokens, one.group, one.head_dim).transpose(1, 2)[None]
        keys, values = (kept[None, :, None].expand(-1, -1, one.group, -1, -1).flatten(1, 2) for kept in (keys, values))
        out = F.scaled_dot_product_attention(q.flatten(1, 2), keys, values, is_causal=True, scale=1.0)
        return out.view(-1, one.group, tokens, one.head_dim).transpose(1, 2).flatten(1, 2)

    def _weights(self, number: int, scores: Tensor) -> Tensor:
        """Softmax of the scores, those of the prompt first; may write over them."""
        one, tokens = self.architecture, self.slots.tokens
        if one.score_cap is not None:
            soft_cap(scores, one.score_cap)
        of_prompt, of_own = self._biases[one.kinds[number]]
        if of_prompt is not None:
            by_prompt = scores.view(self.slots.prompts, -1, tokens, one.group, scores.shape[-1])
            by_prompt[..., : self._columns] += of_prompt[:, None, :, None]
        if of_own is not None:
            scores.view(-1, tokens, one.group, scores.shape[-1])[..., self._columns :] += of_own[:, None]
        return scores.softmax(dim=-1)

    def _hidden(self, start: int, prompt_lengths: Tensor, window: int | None) -> tuple[Tensor, Tensor]:
        """What is not seen of the prompt, `[prompts, 1 or tokens, columns]`, and of the own tokens, `[tokens, all]`."""
        now, own = torch.arange(start, start + self.slots.tokens)[:, None], torch.arange(start + self.slots.tokens)
        prompt = torch.arange(self._columns)
        hidden_of_prompt, hidden_of_own = (prompt >= prompt_lengths[:, None])[:, None], own > now
        if window is not None:
            hidden_of_own = hidden_of_own | (own <= now - window)
            hidden_of_prompt = hidden_of_prompt | (prompt <= prompt_lengths[:, None, None] + now - window)
        return hidden_of_prompt, hidden_of_own


def _bias(hidden: Tensor) -> Tensor | None:
    """0 where something is seen and minus infinity where not; None where everything is seen."""
    return torch.zeros(hidden.shape).masked_fill_(hidden, -torch.inf) if bool(hidden.any()) else None


def soft_cap(x: Tensor, cap: float) -> Tensor:
    """Squeezes into (-cap, cap), in place."""
    return x.div_(cap).tanh_().mul_(cap)
