"""Lines with a checksum: `<crc32> <canonical JSON>`."""

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

    #: From 1.
    number: int
    #: Offset in the file, in bytes.
    start: int
    data: bytes

    @property
    def text(self) -> bytes | None:
        """Its JSON, here [0,"gsm8k/3",[]]; None if the line is torn or damaged."""
        text = self.data[9:-1]
        # Encoded again and compared: so every bit counts, those of the checksum's digits and the newline as well.
        return text if with_checksum(text) == self.data else None

    @property
    def value(self) -> Any:
        """None if the line is torn or damaged."""
        text = self.text
        try:
            return None if text is None else json.loads(text)
        except (ValueError, RecursionError):
            return None


def encode(value: object) -> bytes:
    """Raises UnicodeEncodeError for text that UTF-8 cannot encode, such as a lone surrogate."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    return with_checksum(text)


def split(data: bytes) -> list[Line]:
    """All lines, valid or not."""
    return list(lines_of(io.BytesIO(data)))


def lines_of(file: Iterable[bytes]) -> Iterator[Line]:
    """The lines of an open binary file, one at a time."""
    start = 0
    for number, data in enumerate(file, 1):
        yield Line(number, start, data)
        start += len(data)


def with_checksum(text: bytes) -> bytes:
    return b"%08x %s\n" % (zlib.crc32(text), text)
