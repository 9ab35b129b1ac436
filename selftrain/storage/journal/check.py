"""Compares a run's folder with its journal, and repairs what can be repaired."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from selftrain.errors import RunError
from selftrain.storage.journal.disk import Disk, disk_errors, read_bytes
from selftrain.storage.journal.entries import parse_chain, read_journal, require_run, salvage
from selftrain.storage.journal.layout import COPY, JOURNAL, existing_logs, unknown_files
from selftrain.storage.journal.log import scan
from selftrain.storage.journal.reader import Reader
from selftrain.storage.journal.store import Store, StoreOptions, locked


@dataclass(frozen=True)
class Finding:
    """Finding("journal", "line 3 is damaged", "restored from journal.copy")"""

    file: str
    problem: str
    #: What `repair` does about it, and what follows.
    remedy: str
    #: False for the trace of a kill or an unknown file, which the next `Store.open` clears away.
    is_damage: bool = True


def check(folder: str | Path, unmanaged: Collection[str] = ()) -> list[Finding]:
    """Reads every byte that the journal covers, and changes none.

    Raises:
        RunError: the folder holds no run, or its journal is beyond repair.
    """
    folder = Path(folder)
    reader = readable(folder)
    with disk_errors(folder):
        unknown = list(unknown_files(folder, reader.files, unmanaged))
    return [
        *_check_journal(folder),
        *(finding for _, finding in _check_files(reader)),
        *_check_logs(folder),
        *(Finding(path, "is unknown to the journal", "moved to quarantine", is_damage=False) for path in unknown),
    ]


def readable(folder: Path) -> Reader:
    """What can be read of a run whose journal may be damaged.

    Raises:
        RunError: the folder holds no run, or its journal is beyond repair.
    """
    require_run(folder)
    return Reader(folder, salvage(folder)[0].entries)


def repair(folder: str | Path, unmanaged: Collection[str] = ()) -> list[Finding]:
    """Repairs what `check` finds, and returns that. Damaged files go to quarantine; all that is valid is kept.

    A step that lost a file is no longer finished, and is done again when the run is resumed.
    """
    disk = Disk(Path(folder).absolute())
    require_run(disk.folder)
    with locked(disk) as lock:
        found = check(disk.folder, unmanaged)
        chain, _ = salvage(disk.folder)
        for name in sorted({finding.file for finding in found if finding.is_damage} & {JOURNAL, COPY}):
            disk.replace_damaged(name, [b"".join(chain.lines)])
        with Store(disk, lock, chain, StoreOptions(unmanaged=unmanaged, reserve_bytes=0)) as store:
            for step in sorted({step for step, _ in _check_files(store)}):
                store.invalidate(step)
            for path in sorted({finding.file for finding in _check_logs(disk.folder) if finding.is_damage}):
                disk.replace_damaged(path, scan(disk.folder / path).rewritten())
            store.clean_up()
    return found


def _check_journal(folder: Path) -> Iterator[Finding]:
    whole, lost = salvage(folder)
    try:
        read_journal(folder)
        valid = True
    except RunError:
        valid = False
    for name, other in ((JOURNAL, COPY), (COPY, JOURNAL)):
        data = read_bytes(folder / name)
        if data == b"".join(whole.lines):
            continue
        number = len(parse_chain(data).lines) + 1
        if valid:
            yield Finding(name, f"line {number} is incomplete", f"completed from {other}", is_damage=False)
        elif number in lost:
            yield Finding(name, f"line {number} is damaged", "lost in both copies: its step is done again")
        else:
            yield Finding(name, f"line {number} is damaged", f"restored from {other}")


def _check_files(reader: Reader) -> Iterator[tuple[str, Finding]]:
    """Damaged files and their steps."""
    for entry in reader.journal:
        if reader.finished(entry.step) is entry:
            for path, expected in entry.files.items():
                # Another fingerprint, or none: the file was dropped, and its path may be another step's by now.
                own = reader.files.get(path) is expected
                if own and (mismatch := expected.mismatch(reader.locate(path), hashed=True)):
                    remedy = f"moved to quarantine; step {entry.step!r} is done again"
                    yield entry.step, Finding(path, mismatch, remedy)


def _check_logs(folder: Path) -> Iterator[Finding]:
    for path in existing_logs(folder).values():
        index = scan(folder / path)
        for number in index.damaged:
            yield Finding(path, f"line {number} is damaged", "its items are produced again")
        for number in index.torn:
            yield Finding(path, f"line {number} is torn", "its items are produced again", is_damage=False)
