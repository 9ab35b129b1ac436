"""The journal: one line for each thing that is finished, chained by hashes. What it does not say has not happened.

It is written twice, first `journal`, then `journal.copy`. Two copies tell a line that was torn by a kill (the copy
never had it) from one that was damaged later (the copy has it), and each mends the other.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from selftrain.errors import RunError
from selftrain.storage.journal.disk import Disk, disk_error, read_bytes
from selftrain.storage.journal.fingerprint import Fingerprint
from selftrain.storage.journal.layout import BEFORE_A_JOURNAL, COPY, JOURNAL, allowed
from selftrain.storage.journal.lines import encode, split

SCHEMA = 1
#: create a run; seal a log; commit files or facts; drop the files of a step that stays finished; lose a step.
Kind = Literal["create", "seal", "commit", "drop", "lose"]


@dataclass(frozen=True)
class Entry:
    """One line of the journal.

    Entry("seal", "round-0001/samples", {"drawn": 960}, {"samples/round-0001.parquet": Fingerprint(...)}, rows=960)
    """

    kind: Kind
    #: Which step; "" for the run itself.
    name: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Fingerprint] = field(default_factory=dict)
    #: Of a sealed log.
    rows: int | None = None


@dataclass(frozen=True)
class Chain:
    """Entries that follow from one another, with their lines, and what comes after the last sound line."""

    entries: tuple[Entry, ...]
    lines: tuple[bytes, ...]
    rest: bytes

    @property
    def torn(self) -> bool:
        """Whether the rest can be one line that was cut short, as a kill or a loss of power leaves it."""
        return b"\n" not in self.rest[:-1]


def read_chain(data: bytes) -> Chain:
    """
    Raises:
        RunError: a newer selftrain wrote it.
    """
    entries: list[Entry] = []
    lines: list[bytes] = []
    for line in split(data):
        entry = _entry(line.value)
        # Written anew and compared: one test of the number, the link to the line before, and the form.
        if entry is None or _line(entry, lines) != line.data:
            break
        entries.append(entry)
        lines.append(line.data)
    return Chain(tuple(entries), tuple(lines), data[sum(map(len, lines)) :])


def sound_chain(folder: Path) -> Chain:
    """
    Raises:
        RunError: there is no journal, or it is damaged.
    """
    require_run(folder)
    # The copy first: where a run goes on meanwhile, the journal is still never behind its copy.
    copied = read_bytes(folder / COPY)
    copy, journal = read_chain(copied), read_chain(read_bytes(folder / JOURNAL))
    sound = b"".join(journal.lines)
    if not sound or not journal.torn or len(copied) > len(sound):
        damaged = JOURNAL
    elif not copy.torn or not sound.startswith(b"".join(copy.lines)):
        damaged = COPY
    else:
        return journal
    number = len((journal if damaged == JOURNAL else copy).lines) + 1
    raise RunError(
        f"{folder / damaged}: line {number} is damaged",
        "what is finished cannot be told for sure",
        f"`selftrain check {folder}` says what can be mended, and --repair mends it",
    )


def holds_run(folder: Path) -> bool:
    """Whether there is a run to go on with."""
    try:
        return any((folder / name).is_file() for name in (JOURNAL, COPY))
    except OSError as error:
        raise disk_error(error, folder) from error


def is_taken(folder: Path) -> bool:
    """Whether no new run can begin there."""
    try:
        return folder.is_dir() and any(one.name not in BEFORE_A_JOURNAL for one in folder.iterdir())
    except OSError as error:
        raise disk_error(error, folder) from error


def require_run(folder: Path) -> None:
    if not holds_run(folder):
        raise RunError(f"{folder} holds no run", "it has no journal", "give the folder of a run")


def salvage(folder: Path) -> tuple[Chain, list[int]]:
    """All entries that one of the two holds whole, chained anew; and the lines that are lost in both.

    Raises:
        RunError: the first line is, which says what run this is.
    """
    found: dict[int, Entry] = {}
    copies = [split(read_bytes(folder / name)) for name in (JOURNAL, COPY)]
    for line in (line for lines in copies for line in lines):
        if (entry := _entry(line.value)) is not None:
            found.setdefault(line.value["number"], entry)
    if 0 not in found:
        raise RunError(f"{folder}: line 1 is damaged in {JOURNAL} and in {COPY}", "it says what run this is", "")
    lost = [number + 1 for number in range(max(map(len, copies))) if number not in found]
    return chained(found[number] for number in sorted(found)), lost


def chained(entries: Iterable[Entry]) -> Chain:
    kept: list[Entry] = []
    lines: list[bytes] = []
    for entry in entries:
        lines.append(_line(entry, lines))
        kept.append(entry)
    return Chain(tuple(kept), tuple(lines), b"")


class Journal:
    """Appends. Both copies are written anew when opened, which ends torn lines and brings up a copy that is behind.

    It also covers an earlier process whose fsync failed: what can be read may then be in memory only.
    """

    def __init__(self, disk: Disk, chain: Chain) -> None:
        self._disk, self._lines = disk, list(chain.lines)
        self._open: list[tuple[Path, int]] = []
        for name in (JOURNAL, COPY):
            disk.replace(name, [b"".join(self._lines)])
        for name in (JOURNAL, COPY):
            path = disk.folder / name
            self._open.append((path, disk.open(path, os.O_WRONLY | os.O_APPEND)))

    def append(self, entry: Entry) -> Entry:
        """Once this returns the entry is true, whatever happens. Gives it back as it will be read."""
        line = _line(entry, self._lines)
        for path, descriptor in self._open:
            self._disk.write(descriptor, path, line)
            self._disk.do(path, os.fsync, descriptor)
        self._lines.append(line)
        read = _entry(split(line)[0].value)
        assert read is not None
        return read

    def close(self) -> None:
        while self._open:
            os.close(self._open.pop()[1])


def _line(entry: Entry, before: list[bytes]) -> bytes:
    value: dict[str, Any] = {
        "number": len(before),
        "previous": hashlib.sha256(before[-1]).hexdigest() if before else "",
        "kind": entry.kind,
        "name": entry.name,
    }
    value |= {} if before else {"schema": SCHEMA}
    value |= {"facts": dict(entry.facts)} if entry.facts else {}
    value |= {"files": {path: [one.size, one.sha256] for path, one in entry.files.items()}} if entry.files else {}
    value |= {} if entry.rows is None else {"rows": entry.rows}
    return encode(value)


def _entry(value: Any) -> Entry | None:
    """None for what is none: the line is damaged, or somebody else made it."""
    if not isinstance(value, dict):
        return None
    schema = value.get("schema", SCHEMA)
    if schema != SCHEMA:
        raise RunError(
            f"the run's journal has schema {schema!r}",
            f"this selftrain knows schema {SCHEMA}",
            "use the selftrain that wrote it, or a newer one",
        )
    try:
        files = {path: Fingerprint(int(size), str(digest)) for path, (size, digest) in value.get("files", {}).items()}
        entry = Entry(value["kind"], value["name"], value.get("facts", {}), files, value.get("rows"))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    sound = entry.kind in get_args(Kind) and isinstance(value.get("number"), int) and all(map(allowed, files))
    return entry if sound else None
