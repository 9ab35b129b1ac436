"""Compares all files of a run's folder with its journal, and repairs what can be repaired."""

from __future__ import annotations

from pathlib import Path

from selftrain.storage.derived_check import mends
from selftrain.storage.derived_files import UNMANAGED
from selftrain.storage.journal import Finding, check, readable, repair
from selftrain.storage.record import Record


def check_run(path: str | Path) -> list[Finding]:
    """Reads every byte that the journal covers, and changes none.

    Raises:
        RunError: the folder holds no run, or its journal is beyond repair.
    """
    return [*check(path, UNMANAGED), *(mend.finding for mend in mends(readable(Path(path))))]


def repair_run(path: str | Path) -> list[Finding]:
    """Repairs what `check_run` finds, and returns that. Damaged files go to quarantine; all that is valid is kept."""
    found = check_run(path)
    repair(path, UNMANAGED)
    # Opening a run for writing restores what is written from its journal.
    Record.resume(path).close()
    return found
