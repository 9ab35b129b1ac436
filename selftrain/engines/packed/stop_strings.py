"""Strings that end a completion, looked for only where one can have been completed."""

from __future__ import annotations

import torch
from torch import Tensor

from selftrain.engines.completion import at_stop_string
from selftrain.models.rendering import Renderer

_UNKNOWN, _NO, _YES = -1, 0, 1


class StopStrings:
    """Decoding every completion after every token would take longer than computing the token, so a completion is
    looked at only after a token that contains the last character of a stop string.

    Args:
        stop_strings: at least one; none is empty.
        vocabulary: number of token ids.
    """

    def __init__(self, renderer: Renderer, stop_strings: tuple[str, ...], vocabulary: int) -> None:
        self.renderer, self.stop_strings = renderer, stop_strings
        self._last = {text[-1] for text in stop_strings}
        # Where a blank is dropped or a character completed later, any token may complete a string.
        plain = all(char.isascii() and char != " " for char in self._last)
        self._known = torch.full((vocabulary,), _UNKNOWN if plain else _YES, dtype=torch.int8)

    def may_end(self, token: Tensor) -> Tensor:
        """Mask of the ids in `token` after which to look."""
        known = self._known[token]
        if bool((known == _UNKNOWN).any()):
            for token_id in token[known == _UNKNOWN].unique().tolist():
                text = self.renderer.completion_text([token_id])
                self._known[token_id] = _YES if any(last in text for last in self._last) else _NO
            known = self._known[token]
        return known == _YES

    def end(self, token_ids: list[int]) -> bool:
        """Whether the newest tokens complete a stop string."""
        return at_stop_string(self.renderer, token_ids, self.stop_strings)
