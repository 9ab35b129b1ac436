"""Lines that know whether they are whole: `crc32 json`, the JSON canonical."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Line:
    """Line(number=2, start=61, data=b'5d3c1a90 [0,"gsm8k/3",[]]\\n')"""

    number: int
    #: Where in the file it begins.
    start: int
    data: bytes

    @property
    def text(self) -> bytes | None:
        """Its JSON, here [0,"gsm8k/3",[]]; None where the line is torn or damaged."""
        text = self.data[9:-1]
        # Framed anew, not taken apart: every bit counts, also those of the checksum's letters and the line's end.
        return text if framed(text) == self.data else None

    @property
    def value(self) -> Any:
        """None where the line is torn or damaged."""
        text = self.text
        try:
            return None if text is None else json.loads(text)
        except (ValueError, RecursionError):
            return None


def encode(value: object) -> bytes:
    """Raises UnicodeEncodeError for text that no file can hold, such as half a surrogate pair."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    return framed(text)


def split(data: bytes) -> list[Line]:
    """All lines, sound or not."""
    return list(lines_of(io.BytesIO(data)))


def lines_of(file: Iterable[bytes]) -> Iterator[Line]:
    """The same of an open binary file, one at a time."""
    start = 0
    for number, data in enumerate(file, 1):
        yield Line(number, start, data)
        start += len(data)


def framed(text: bytes) -> bytes:
    return b"%08x %s\n" % (zlib.crc32(text), text)
