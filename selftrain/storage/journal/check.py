"""Is all that a run's journal says still true? And what can be mended from what."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from selftrain.errors import RunError
from selftrain.storage.journal.disk import Disk, disk_error, read_bytes
from selftrain.storage.journal.entries import read_chain, require_run, salvage, sound_chain
from selftrain.storage.journal.layout import COPY, JOURNAL, logs, strangers
from selftrain.storage.journal.log import find
from selftrain.storage.journal.reader import Reader
from selftrain.storage.journal.store import Store, Terms, held


@dataclass(frozen=True)
class Finding:
    """Finding("journal", "line 3 is damaged", "journal.copy holds it")"""

    file: str
    wrong: str
    #: What `repair` does about it.
    mend: str
    #: Or else the trace of a kill, or a file that somebody put there: the next `Store.open` clears it away.
    damage: bool = True


def check(folder: str | Path, free: Collection[str] = ()) -> list[Finding]:
    """Reads every byte that the journal speaks of, and changes none.

    Raises:
        RunError: the folder holds no run, or what run it holds is lost.
    """
    folder = Path(folder)
    require_run(folder)
    reader = Reader(folder, salvage(folder)[0].entries)
    try:
        unknown = list(strangers(folder, reader.files, free))
    except OSError as error:
        raise disk_error(error, folder) from error
    return [
        *_of_journal(folder),
        *(finding for _, finding in _of_files(reader)),
        *_of_logs(reader),
        *(Finding(path, "is unknown to the journal", "it is set aside", damage=False) for path in unknown),
    ]


def repair(folder: str | Path, free: Collection[str] = ()) -> list[Finding]:
    """Mends what `check` finds, and gives that back. What is damaged is set aside; what is whole is kept, all of it.

    A step that lost a file is not finished any more and is done again by whoever goes on with the run.
    """
    disk = Disk(Path(folder).absolute())
    require_run(disk.folder)
    with held(disk) as lock:
        found = check(disk.folder, free)
        chain, _ = salvage(disk.folder)
        for name in sorted({one.file for one in found if one.damage} & {JOURNAL, COPY}):
            disk.mend(name, [b"".join(chain.lines)])
        with Store(disk, lock, chain, Terms(free=free, reserve_bytes=0)) as store:
            for step in sorted({step for step, _ in _of_files(store)}):
                store.lose(step)
            for path in sorted({one.file for one in _of_logs(store) if one.damage}):
                disk.mend(path, find(disk.folder / path).as_new())
            store.tidy()
    return found


def _of_journal(folder: Path) -> Iterator[Finding]:
    whole, lost = salvage(folder)
    try:
        sound_chain(folder)
        sound = True
    except RunError:
        sound = False
    for name, other in ((JOURNAL, COPY), (COPY, JOURNAL)):
        data = read_bytes(folder / name)
        if data == b"".join(whole.lines):
            continue
        number = len(read_chain(data).lines) + 1
        if sound:
            yield Finding(name, f"line {number} was torn or not yet written", f"{other} tells", damage=False)
        elif number in lost:
            yield Finding(name, f"line {number} is damaged", "lost in both: its step is to be done again")
        else:
            yield Finding(name, f"line {number} is damaged", f"{other} holds it")


def _of_files(reader: Reader) -> Iterator[tuple[str, Finding]]:
    """Damaged files and their steps."""
    kept = logs(reader.folder)
    for entry in reader.journal:
        if reader.finished(entry.name) is entry:
            again = "its log is still there" if entry.name in kept else "set aside"
            for path, expected in entry.files.items():
                # Else it was dropped, and the place may be another step's by now.
                mine = reader.files.get(path) is expected
                if mine and (wrong := expected.wrong(reader.place(path), hashed=True)):
                    yield entry.name, Finding(path, wrong, f"{again}; step {entry.name!r} is to be done again")


def _of_logs(reader: Reader) -> Iterator[Finding]:
    for step, path in logs(reader.folder).items():
        if reader.finished(step) is not None:
            continue
        found = find(reader.folder / path)
        for number in found.damaged:
            yield Finding(path, f"line {number} is damaged", "its units are to be produced again")
        for number in found.torn:
            yield Finding(path, f"line {number} is torn", "its units are to be produced again", damage=False)
