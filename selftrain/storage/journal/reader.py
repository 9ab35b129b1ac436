"""A run's folder to be read: what its journal says, and files that are as it says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from selftrain.errors import RunError
from selftrain.storage.journal import shards
from selftrain.storage.journal.disk import read_bytes
from selftrain.storage.journal.entries import Entry, sound_chain
from selftrain.storage.journal.fingerprint import CHANGED, Fingerprint
from selftrain.storage.journal.layout import PARTIAL


class Reader:
    """Takes no lock and changes nothing; a run that goes on meanwhile does no harm."""

    def __init__(self, folder: Path, entries: Iterable[Entry]) -> None:
        self.folder = folder
        self._entries: list[Entry] = []
        self._finished: dict[str, Entry] = {}
        self._files: dict[str, Fingerprint] = {}
        self._dropped: set[str] = set()
        self._lost: set[str] = set()
        for entry in entries:
            self._add(entry)

    @classmethod
    def read(cls, folder: str | Path) -> Reader:
        folder = Path(folder)
        return Reader(folder, sound_chain(folder).entries)

    @property
    def journal(self) -> tuple[Entry, ...]:
        return tuple(self._entries)

    @property
    def files(self) -> Mapping[str, Fingerprint]:
        """All files that are to be there."""
        return self._files

    @property
    def lost(self) -> frozenset[str]:
        """Steps that were finished and are not any more, since a file of theirs was damaged."""
        return frozenset(self._lost)

    def finished(self, step: str) -> Entry | None:
        return self._finished.get(step)

    def place(self, path: str) -> Path:
        """Where a file is: at its place, or a moment before it gets there."""
        place, partial = self.folder / path, self.folder / PARTIAL / path
        return partial if partial.exists() and not place.exists() else place

    def verify(self, step: str) -> Entry:
        """A finished step, all of whose files are byte for byte what they were.

        Raises:
            RunError: one is not.
        """
        entry = self._finished[step]
        for path, expected in entry.files.items():
            if wrong := expected.wrong(self.place(path), hashed=True):
                raise self.damaged(path, wrong)
        return entry

    def read_rows(self, step: str) -> list[dict[str, Any]]:
        """The rows of a sealed step. The very bytes that are read are those that were verified.

        Raises:
            RunError: they are not what they were.
        """
        ((path, expected),) = self._finished[step].files.items()
        data = read_bytes(self.place(path))
        if Fingerprint.of(data) != expected:
            raise self.damaged(path, CHANGED)
        return shards.decode(data)

    def damaged(self, path: str, wrong: str) -> RunError:
        return RunError(
            f"{self.folder / path} {wrong}",
            "it was damaged or changed after it was finished",
            f"`selftrain check {self.folder}` says what can be mended, and --repair mends it",
        )

    def _add(self, entry: Entry) -> None:
        self._entries.append(entry)
        if entry.kind in ("seal", "commit"):
            self._finished[entry.name] = entry
            self._files.update(entry.files)
            self._dropped -= entry.files.keys()
            self._lost.discard(entry.name)
        elif entry.name in self._finished:
            gone = self._finished[entry.name].files
            for path in gone:
                self._files.pop(path, None)
            if entry.kind == "drop":
                self._dropped |= gone.keys()
            else:
                del self._finished[entry.name]
                self._lost.add(entry.name)
