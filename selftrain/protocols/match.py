"""Whether what was read is the answer, as lm-eval's `exact_match` compares."""

from __future__ import annotations

import re

#: In their order: separators of thousands, currency, the reasoning before the answer, the full stop.
GSM8K_IGNORED = tuple(map(re.compile, (",", r"\$", r"(?s).*#### ", r"\.$")))


def gsm8k_match(read: str, target: str) -> float:
    """1.0 if the two are the same without what GSM8K_IGNORED matches, in lower case."""
    return float(_plain(read) == _plain(target))


def _plain(text: str) -> str:
    for ignored in GSM8K_IGNORED:
        text = ignored.sub("", text)
    return text.lower()
