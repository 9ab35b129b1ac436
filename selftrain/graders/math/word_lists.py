"""Lists of words that are read as text."""

from __future__ import annotations


def split_words(text: str) -> list[str]:
    return text.split()
