"""What lies where in a run's folder, next to the files that the run itself names.

LOCK             who writes; empty where nobody does
journal          what is finished: the only truth about it
journal.copy     the same once more
logs/            one log for each step that is not finished
partial/         files on their way to their place
reserve          given up when the disk is full
set-aside/1/     files that the journal does not know, and damaged ones
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote

LOCK = "LOCK"
JOURNAL = "journal"
COPY = "journal.copy"
LOGS = "logs"
PARTIAL = "partial"
RESERVE = "reserve"
SET_ASIDE = "set-aside"
OWN = (LOCK, JOURNAL, COPY, LOGS, PARTIAL, RESERVE, SET_ASIDE)
#: What is left of a run that was killed, or whose disk failed, before it had a journal: nothing that anybody misses.
BEFORE_A_JOURNAL = (LOCK, PARTIAL, RESERVE)


def log_of(step: str) -> str:
    """logs/round-0003%2Fsamples.log: one flat folder, and each step a name of its own."""
    return f"{LOGS}/{quote(step, safe=' ')}.log"


def logs(folder: Path) -> dict[str, str]:
    """The logs that are there, by their steps."""
    return {unquote(place.stem): f"{LOGS}/{place.name}" for place in sorted((folder / LOGS).glob("*.log"))}


def allowed(path: str) -> bool:
    """Whether a step's file may be there: below the folder, even if the journal came from elsewhere, and not ours."""
    pure = PurePosixPath(path)
    below = path == str(pure) != "." and not pure.is_absolute() and ".." not in pure.parts and "\0" not in path
    return below and pure.parts[0] not in OWN


def strangers(folder: Path, journaled: Collection[str], free: Collection[str]) -> Iterator[str]:
    """Files that nobody answers for; of a folder without any known file the folder itself.

    `free` are files and folders that the run may change as it likes.
    """
    known = {*OWN, *journaled, *free, *logs(folder).values()} - {LOGS}
    above = {LOGS} | {str(parent) for path in known for parent in PurePosixPath(path).parents}
    places = sorted(folder.iterdir(), reverse=True)
    while places:
        place = places.pop()
        path = place.relative_to(folder).as_posix()
        if path in known:
            continue
        if path in above and place.is_dir() and not place.is_symlink():
            places += sorted(place.iterdir(), reverse=True)
        else:
            yield path
