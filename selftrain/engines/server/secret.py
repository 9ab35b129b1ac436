"""Keeps the API key out of whatever a server returns before it reaches a message, a log or a record.

A server can repeat what it was sent: in an error, a header, a model's name, the text of a completion; as it is, or in
any spelling that a format or a library on the way gives it.
"""

from __future__ import annotations

import base64
import codecs
import html
import re
import unicodedata
from collections.abc import Callable, Iterator
from urllib.parse import unquote

#: Letters and digits in a row that identify a key; a shorter one is looked for as a whole.
_PIECE = 8
#: In a completion, where the words of a model must not be taken for a key by chance.
_LONG_PIECE = 16
#: How often one spelling may be wrapped in another.
_DEPTH = 3
HIDDEN = "***"
WITHHELD = "(not shown: it repeats the API key)"


class Secret:
    """The key of a server; None for a server without one."""

    def __init__(self, key: str | None) -> None:
        self._key = key or ""
        folded = [_fold(text) for text in _encoded(self._key)] if self._key else []
        self._pieces = _pieces(folded, _PIECE)
        self._long_pieces = _pieces(folded, _LONG_PIECE)

    def hide(self, text: str) -> str:
        """`text` without the key: with *** in its place, or nothing of it where it is spelled in another way."""
        if not self._key:
            return text
        text = re.sub(re.escape(self._key), HIDDEN, text, flags=re.IGNORECASE)
        return WITHHELD if _holds(text, self._pieces) else text

    def hide_lines(self, text: str) -> str:
        """The same line by line, so that the other lines stay; but for a key that is divided among them."""
        return self.hide("\n".join(map(self.hide, text.splitlines())))

    def is_in(self, text: str) -> bool:
        """Whether a whole key, or the larger part of one, stands in a completion."""
        # A key that is no secret, such as EMPTY or test, is a word that a model may use.
        return len(_fold(self._key)) >= _PIECE and _holds(text, self._long_pieces)


def _encoded(key: str) -> Iterator[str]:
    data = key.encode()
    yield from (key, key[::-1], codecs.encode(key, "rot13"), data.hex(), base64.b32encode(data).decode())
    yield from (base64.b85encode(data).decode(), base64.a85encode(data).decode())
    for before in range(3):
        # In the middle of other bytes; the first and last characters depend on those.
        text = base64.b64encode(b"\0" * before + data).decode().rstrip("=")
        yield text[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]


def _pieces(texts: list[str], length: int) -> frozenset[str]:
    return frozenset(
        text[i : i + length] for text in texts if len(text) >= _PIECE for i in range(max(1, len(text) - length + 1))
    )


def _fold(text: str) -> str:
    """Letters and digits only, so that no separator, line break or invisible character divides a key."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text))).casefold()


def _holds(text: str, pieces: frozenset[str]) -> bool:
    return any(piece in folded for folded in map(_fold, _readings(text)) for piece in pieces)


def _readings(text: str) -> set[str]:
    """The text, and what it stands for in the formats that can wrap it."""
    found, new = {text}, {text}
    for _ in range(_DEPTH):
        new = {decode(one) for one in new for decode in _DECODERS} - found
        found |= new
    return found


def _unescape(text: str) -> str:
    r"""\u0073, \x73, \163."""
    text = re.sub(r"\\+(?:u\{?|U|x)([0-9a-fA-F]{2,8})\}?", lambda found: _char(int(found[1], 16)), text)
    return re.sub(r"\\([0-7]{2,3})", lambda found: _char(int(found[1], 8)), text)


def _quoted_printable(text: str) -> str:
    return re.sub(r"=([0-9A-Fa-f]{2})", lambda found: _char(int(found[1], 16)), text)


def _codes(text: str) -> str:
    """115, 107, 45"""
    return "".join(_char(int(number)) for number in re.findall(r"(?<![0-9])[0-9]{2,3}(?![0-9])", text))


def _hex_codes(text: str) -> str:
    """73 6b 2d, 0x73 0x6b"""
    found = re.findall(r"(?<![0-9a-fA-F])(?:0x)?([0-9a-fA-F]{2})(?![0-9a-fA-F])", text)
    return "".join(_char(int(number, 16)) for number in found)


def _char(code: int) -> str:
    return chr(code) if code < 0x110000 else ""


_DECODERS: tuple[Callable[[str], str], ...] = (html.unescape, unquote, _unescape, _quoted_printable, _codes, _hex_codes)
