"""From rows, which linear layers compute, to slots, which attention computes.

Rows are the tokens of a pass, one after another, without padding. Attention wants rectangles: all completions of a
prompt side by side, so that they share the prompt's keys and values. A slot is a place in the rectangle
`[prompts, kv_heads, completions, tokens]`; slots are empty where a completion has ended or is shorter than others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class SlotLayout:
    """
    SlotLayout(prompts=2, completions=3, tokens=1, kv_heads=2, place=tensor([0, 1, 2, 3, 5])): five rows; the second
    completion of the second prompt is missing.
    """

    prompts: int
    #: Per prompt, at most.
    completions: int
    #: Per completion in this pass, at most.
    tokens: int
    kv_heads: int
    #: `[rows]`: (prompt * completions + completion) * tokens + token, of each row.
    place: Tensor

    @classmethod
    def ragged(cls, lengths: Tensor, kv_heads: int) -> SlotLayout:
        """For completions of `lengths` `[prompts, completions]` tokens, row after row."""
        longest = int(lengths.max())
        filled = torch.arange(longest) < lengths[..., None]
        prompts, completions = lengths.shape
        return cls(prompts, completions, longest, kv_heads, place=filled.flatten().nonzero().squeeze(1))

    @property
    def num_slots(self) -> int:
        return self.prompts * self.kv_heads * self.completions * self.tokens

    def slot_of_row(self) -> Tensor:
        """`[rows * kv_heads]`."""
        per_head = self.completions * self.tokens
        prompt, within = self.place // per_head, self.place % per_head
        heads = torch.arange(self.kv_heads)
        return ((prompt[:, None] * self.kv_heads + heads) * per_head + within[:, None]).flatten()

    def row_of_slot(self, slot_of_row: Tensor) -> Tensor:
        """`[slots]`: row * kv_heads + head. Empty slots repeat row 0, so that they compute with finite numbers."""
        found = torch.zeros(self.num_slots, dtype=torch.long)
        found[slot_of_row] = torch.arange(len(slot_of_row))
        return found

    def keep(self, rows: Tensor) -> SlotLayout:
        """Some of the rows, in their slots; `rows` is a mask or indices."""
        return replace(self, place=self.place[rows])

    def compacted(self) -> tuple[SlotLayout, Tensor, Tensor]:
        """The same rows in the smallest rectangle, for one token each.

        Returns:
            The new layout, the indices of the old prompts that are left, and the old slot of each new one.
        """
        prompts, counts = torch.unique_consecutive(self.place // self.completions, return_counts=True)
        completions = int(counts.max()) if len(counts) else 0
        # Each row moves to the first free slot of its prompt.
        rank = torch.arange(len(self.place)) - (counts.cumsum(0) - counts).repeat_interleave(counts)
        place = torch.arange(len(counts)).repeat_interleave(counts) * completions + rank
        new = replace(self, prompts=len(counts), completions=completions, place=place)
        source = torch.zeros(new.num_slots, dtype=torch.long)
        source[new.slot_of_row()] = self.slot_of_row()
        return new, prompts, source
