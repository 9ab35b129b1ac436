"""Texts that end an answer, looked for only where there can be one."""

from __future__ import annotations

import torch
from torch import Tensor

from selftrain.engines.transformers import at_stop_text
from selftrain.models.rendering import Renderer

_UNKNOWN, _NO, _YES = -1, 0, 1


class StopTexts:
    """To decode every answer after every token would take longer than to compute the token, so an answer is looked at
    only after a token that holds the last character of a stop text.

    Args:
        stop_texts: at least one; none is empty.
        vocabulary: how many token ids there are.
    """

    def __init__(self, renderer: Renderer, stop_texts: tuple[str, ...], vocabulary: int) -> None:
        self.renderer, self.stop_texts = renderer, stop_texts
        self._last = {text[-1] for text in stop_texts}
        # Where a tokenizer takes spaces away or completes a character later, any token may complete a text.
        plain = all(one.isascii() and one != " " for one in self._last)
        cleaned = getattr(renderer.tokenizer, "clean_up_tokenization_spaces", False)
        self._known = torch.full((vocabulary,), _UNKNOWN if plain and not cleaned else _YES, dtype=torch.int8)

    def may_end(self, token: Tensor) -> Tensor:
        """Mask of the ids in `token` after which to look."""
        known = self._known[token]
        if bool((known == _UNKNOWN).any()):
            for one in token[known == _UNKNOWN].unique().tolist():
                text = self.renderer.completion_text([one])
                self._known[one] = _YES if any(last in text for last in self._last) else _NO
            known = self._known[token]
        return known == _YES

    def end(self, token_ids: list[int]) -> bool:
        """Whether the answer has just come to a stop text."""
        return at_stop_text(self.renderer, token_ids, self.stop_texts)
