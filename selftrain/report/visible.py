"""The one way by which text of models, data sets and users reaches a terminal or a page."""

from __future__ import annotations

import unicodedata

#: Invisible, yet printable to Python: fillers without ink, and the variation selectors in which bytes can be hidden
#: (not the last two of the first sixteen, which only choose between text and emoji).
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | frozenset(
    map(chr, (*range(0xFE00, 0xFE0E), *range(0xE0100, 0xE01F0)))
)


def visible(text: str) -> str:
    r"""`text` with every character that acts without being seen written as an escape.

    visible("\x1b]52;c;cm0=\x07") == r"\x1b]52;c;cm0=\x07"    terminal commands (C0, C1, ESC)
    visible("\u202egnp.exe")      == r"\u202egnp.exe"         direction changes
    visible("pass\u200bword")     == r"pass\u200bword"        zero-width characters, soft hyphens, tags
    visible("\ud800")             == r"\ud800"                half characters, which no terminal can be sent

    Newlines, tabs and spaces of other scripts stay. A backslash stays single, for mathematics is full of them:
    the result is safe to print, not to parse.
    """
    if seen(text):
        return text
    return "".join(c if _is_seen(c) else c.encode("unicode_escape").decode("ascii") for c in text)


def seen(text: str) -> bool:
    """Whether `visible` leaves it as it is."""
    return (text.isascii() and text.isprintable()) or all(map(_is_seen, text))


def _is_seen(c: str) -> bool:
    if c.isprintable():
        return c not in _INVISIBLE
    return c in "\n\t" or unicodedata.category(c) == "Zs"
