"""The log of one step: what it has produced so far, one line for each unit.

A unit is on its way to the disk when `append` returns, so that the death of the process loses none. A loss of power
can lose those of the last second. Every line says how much of the file was known to be safe when it was written: a
bad line beyond that was torn and is forgotten, a bad line before it is damage.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selftrain.errors import RunError
from selftrain.storage.journal.disk import Disk, reading
from selftrain.storage.journal.lines import Line, encode, framed, lines_of

Rows = Sequence[Mapping[str, Any]]
#: How the JSON of a unit's line begins: what was known to be safe, and the key.
_HEAD = re.compile(rb'\[(\d+),("(?:[^"\\]|\\.)*"),\[')


@dataclass(frozen=True)
class Found:
    """What the file of a log holds. Units are looked up in it, so that memory holds none of them.

    Found(Path("run/logs/round-0001/samples.log"), places={"gsm8k/train/7": (0, 81)}, torn=(), damaged=())
    """

    file: Path
    #: Where the line of a unit begins, and its length, in the order of the file; of a key that comes twice the first.
    places: dict[str, tuple[int, int]]
    #: Numbers of lines.
    torn: tuple[int, ...]
    damaged: tuple[int, ...]

    def as_new(self) -> Iterator[bytes]:
        """The lines of a log that holds the same units, and of which nothing is known to be safe."""
        if self.places:
            with reading(self.file), self.file.open("rb") as file:
                for start, length in self.places.values():
                    file.seek(start)
                    text = Line(0, start, file.read(length)).text
                    if text is None:  # framed anew it would be believed
                        raise _changed(self.file)
                    yield framed(b"[0" + text[text.index(b",") :])


def find(path: Path) -> Found:
    """
    Raises:
        RunError: the disk cannot be read.
    """
    places: dict[str, tuple[int, int]] = {}
    safe, bad = 0, []
    with reading(path), suppress(FileNotFoundError), path.open("rb") as file:
        for line in lines_of(file):
            head = _head_of(line)
            if head is None:
                bad.append((line.start, line.number))
            else:
                safe = max(safe, head[0])
                places.setdefault(head[1], (line.start, len(line.data)))
    torn = tuple(number for start, number in bad if start >= safe)
    return Found(path, places, torn, tuple(number for start, number in bad if start < safe))


def _head_of(line: Line) -> tuple[int, str] | None:
    text = line.text
    head = None if text is None or not text.endswith(b"]") else _HEAD.match(text)
    return None if head is None else (int(head[1]), json.loads(head[2]))


def _changed(file: Path) -> RunError:
    return RunError(f"{file} has changed since it was opened", "the run stops here", "resume it")


class Units(Mapping[str, list[dict[str, Any]]]):
    """The units of an open log by key, read when they are asked for."""

    def __init__(self, file: Path, descriptor: int, places: Mapping[str, tuple[int, int]]) -> None:
        self._file, self._descriptor, self._places = file, descriptor, places

    def __getitem__(self, key: str) -> list[dict[str, Any]]:
        """
        Raises:
            RunError: the disk does not give back what it gave when the log was opened.
        """
        start, length = self._places[key]
        with reading(self._file):
            line = Line(0, start, os.pread(self._descriptor, length, start))
        match line.value:
            case [_, _, list(rows)]:
                return rows
            case _:
                raise _changed(self._file)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class Log:
    """Units by key, the first of a key wins. `rows` is what an earlier process had appended.

    An existing log is written anew when opened. That ends torn lines, and covers an earlier process whose fsync
    failed: what can be read may then be in memory only.
    """

    def __init__(self, disk: Disk, path: str, commit_seconds: float) -> None:
        self._disk, self._path, self._place = disk, path, disk.folder / path
        self._commit_seconds = commit_seconds
        self.duplicates = 0
        found = find(self._place)
        if found.damaged:
            raise self._damaged(found.damaged[0])
        self._keys = set(found.places)
        places: dict[str, tuple[int, int]] = {}
        self._size = 0
        disk.replace(path, self._noted(found, places))
        self._safe, self._committed = self._size, time.monotonic()
        self._descriptor = disk.open(self._place, os.O_RDWR | os.O_APPEND)
        self.rows = Units(self._place, self._descriptor, places)

    def _noted(self, found: Found, places: dict[str, tuple[int, int]]) -> Iterator[bytes]:
        for key, line in zip(found.places, found.as_new(), strict=True):
            places[key] = (self._size, len(line))
            self._size += len(line)
            yield line

    def append(self, key: str, rows: Rows) -> None:
        """Adds a unit; on the disk for good by the next group commit, at most `commit_seconds` of appending later."""
        if key in self._keys:
            self.duplicates += 1
            return
        line = encode([self._safe, key, rows])
        with self._disk.operation():
            self._disk.write(self._descriptor, self._place, line)
            self._keys.add(key)
            self._size += len(line)
            due = time.monotonic() - self._committed >= self._commit_seconds
            if due or self._disk.failure is not None:
                self._commit()

    def flush(self) -> None:
        """Group commit: all that was appended is on the disk for good."""
        with self._disk.operation():
            if self._safe < self._size:
                self._commit()

    def units(self) -> dict[str, list[dict[str, Any]]]:
        """All that was appended, as the disk has it.

        Raises:
            RunError: that is not all.
        """
        found = find(self._place)
        if bad := found.damaged + found.torn:
            raise self._damaged(bad[0])
        if found.places.keys() != self._keys:
            raise self._damaged(len(found.places) + 1)
        return dict(Units(self._place, self._descriptor, found.places))

    def close(self) -> None:
        os.close(self._descriptor)

    def _commit(self) -> None:
        self._disk.do(self._place, os.fsync, self._descriptor)
        self._safe, self._committed = self._size, time.monotonic()

    def _damaged(self, line: int) -> RunError:
        return RunError(
            f"{self._place}: line {line} is damaged",
            "it was whole once, so this is no trace of a kill",
            f"`selftrain check {self._disk.folder} --repair` keeps what is whole and sets the rest aside",
        )
