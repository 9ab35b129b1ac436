"""Who sits where: from rows, which linear layers see, to seats, which attention sees.

Rows are the tokens that are computed, one after another, without padding. Attention wants rectangles: all answers to a
prompt side by side, so that they share the prompt's keys and values. A seat is a place in that rectangle,
`[prompts, kv_heads, answers, tokens]`; some seats are empty, because their answer has ended or is shorter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class SlotLayout:
    """
    Seats(prompts=2, answers=3, tokens=1, kv_heads=2, place=tensor([0, 1, 2, 3, 5])): five rows; the second answer
    to the second prompt is missing.
    """

    prompts: int
    #: To each prompt, at most.
    answers: int
    #: Of each answer in this pass, at most.
    tokens: int
    kv_heads: int
    #: `[rows]`: (prompt * answers + answer) * tokens + token, of each row.
    place: Tensor

    @classmethod
    def ragged(cls, lengths: Tensor, kv_heads: int) -> SlotLayout:
        """For answers of `[prompts, answers]` tokens each, row after row."""
        longest = int(lengths.max())
        inside = torch.arange(longest) < lengths[..., None]
        prompts, answers = lengths.shape
        return cls(prompts, answers, longest, kv_heads, inside.flatten().nonzero().squeeze(1))

    @property
    def count(self) -> int:
        return self.prompts * self.kv_heads * self.answers * self.tokens

    def seat_of_row(self) -> Tensor:
        """`[rows * kv_heads]`."""
        here = self.answers * self.tokens
        prompt, inside = self.place // here, self.place % here
        heads = torch.arange(self.kv_heads)
        return ((prompt[:, None] * self.kv_heads + heads) * here + inside[:, None]).flatten()

    def row_in_seat(self, seat_of_row: Tensor) -> Tensor:
        """`[slots]`: row * kv_heads + head. In empty seats 0: attention there is computed in vain, but on numbers."""
        found = torch.zeros(self.count, dtype=torch.long)
        found[seat_of_row] = torch.arange(len(seat_of_row))
        return found

    def only(self, rows: Tensor) -> SlotLayout:
        """Some rows, in the seats they have."""
        return replace(self, place=self.place[rows])

    def closed_up(self) -> tuple[SlotLayout, Tensor, Tensor]:
        """The same rows in the smallest rectangle, for one token each.

        Returns:
            The new seats, which of the old prompts are still there, and the old seat that each new one stands for.
        """
        prompts, counts = torch.unique_consecutive(self.place // self.answers, return_counts=True)
        answers = int(counts.max()) if len(counts) else 0
        # Each row moves to the first free seat of its prompt.
        rank = torch.arange(len(self.place)) - (counts.cumsum(0) - counts).repeat_interleave(counts)
        place = torch.arange(len(counts)).repeat_interleave(counts) * answers + rank
        new = replace(self, prompts=len(counts), answers=answers, place=place)
        source = torch.zeros(new.count, dtype=torch.long)
        source[new.seat_of_row()] = self.seat_of_row()
        return new, prompts, source
