"""What the prompts of a batch start with: worked examples, a system turn. It is computed once."""

from __future__ import annotations

from collections.abc import Sequence

#: Tokens by which its length is cut, so that questions which happen to begin with the same word have the same start as
#: others; whole blocks of the packed engine's caches.
SHARED_BLOCK = 16


def shared_start(prompts: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The tokens that all prompts start with, in whole `SHARED_BLOCK`s; at least one token of each is not among them.

    Depends on these prompts alone, so that the last bits of what is computed from it do, too.
    """
    if len(prompts) < 2:
        return ()
    first, last = min(map(tuple, prompts)), max(map(tuple, prompts))
    most = min(len(first), len(last), min(map(len, prompts)) - 1)
    common = next((place for place in range(most) if first[place] != last[place]), most)
    return tuple(first[: common // SHARED_BLOCK * SHARED_BLOCK])
