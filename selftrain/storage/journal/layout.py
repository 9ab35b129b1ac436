"""Files of the journal in a run's folder, beside those of the run itself.

LOCK             the process that writes the run; empty while there is none
journal          which steps are finished: the only truth about it
journal.copy     a second copy
logs/            append-only logs of steps that are not finished
partial/         files that are being written, to be moved to their place
reserve          disk space that is freed when the disk is full
quarantine/1/    damaged files, and files that the journal does not know
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote

LOCK = "LOCK"
JOURNAL = "journal"
COPY = "journal.copy"
LOGS = "logs"
PARTIAL = "partial"
RESERVE = "reserve"
QUARANTINE = "quarantine"
INTERNAL = (LOCK, JOURNAL, COPY, LOGS, PARTIAL, RESERVE, QUARANTINE)
#: What a run leaves that was killed, or whose disk failed, before it had a journal; it may be overwritten.
BEFORE_JOURNAL = (LOCK, PARTIAL, RESERVE)


def log_path(step: str) -> str:
    """logs/round-0003%2Fsamples.log: one flat folder with a distinct name for each step."""
    return f"{LOGS}/{quote(step, safe=' ')}.log"


def existing_logs(folder: Path) -> dict[str, str]:
    """Paths of the logs, by step."""
    return {unquote(path.stem): f"{LOGS}/{path.name}" for path in sorted((folder / LOGS).glob("*.log"))}


def is_allowed(path: str) -> bool:
    """Whether a step may have a file there: inside the folder, and not one of the journal's own."""
    pure = PurePosixPath(path)
    inside = path == str(pure) != "." and not pure.is_absolute() and ".." not in pure.parts and "\0" not in path
    return inside and pure.parts[0] not in INTERNAL


def unknown_files(folder: Path, journaled: Collection[str], unmanaged: Collection[str]) -> Iterator[str]:
    """Files that are neither the journal's, nor in it, nor `unmanaged`; a folder without any known file as a whole.

    Args:
        unmanaged: paths, and patterns with a *; a pattern makes no folder known.
    """
    patterns = [path for path in unmanaged if "*" in path]
    known = {*INTERNAL, *journaled, *unmanaged, *existing_logs(folder).values()} - {LOGS}
    parents = {LOGS} | {str(parent) for path in known for parent in PurePosixPath(path).parents}
    queue = sorted(folder.iterdir(), reverse=True)
    while queue:
        place = queue.pop()
        path = place.relative_to(folder).as_posix()
        if path in known or any(fnmatchcase(path, pattern) for pattern in patterns):
            continue
        if path in parents and place.is_dir() and not place.is_symlink():
            queue += sorted(place.iterdir(), reverse=True)
        else:
            yield path
