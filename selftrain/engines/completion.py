"""A response while it is generated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from selftrain.models.rendering import Renderer


@dataclass
class Completion:
    """The tokens of one response, complete or not.

    Completion(stop_strings=("\n\nQuestion:",), token_ids=[5, 9, 2], logprobs=[-1.5, -0.25, -0.1], ended=True)
    """

    #: End it, as an end token does.
    stop_strings: tuple[str, ...]
    token_ids: list[int] = field(default_factory=list)
    #: Of each token at temperature 1, in nats.
    logprobs: list[float] = field(default_factory=list)
    ended: bool = False


def at_stop_string(renderer: Renderer, token_ids: Sequence[int], stop_strings: tuple[str, ...]) -> bool:
    """Whether the newest tokens complete a stop string."""
    if not stop_strings:
        return False
    # A token holds at least one byte of UTF-8, so this tail covers the longest stop string.
    longest = max(len(text.encode()) for text in stop_strings)
    tail = renderer.completion_text(token_ids[-longest - 1 :])
    return any(text in tail for text in stop_strings)
