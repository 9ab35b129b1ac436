"""One bit of a run's files changes: `check` sees it, or nothing that is read depends on it. `repair` keeps the rest."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from selftrain.storage.journal import Finding, Reader, check, repair
from selftrain.storage.journal.entries import salvage
from selftrain.storage.journal.layout import existing_logs
from selftrain.storage.journal.lines import split
from tests.storage.journal.driver import Driver, tree
from tests.storage.journal.script import OPTIONS, SCRIPT, play
from tests.storage.journal.test_kills import Whole

#: Nothing that is read depends on what they hold.
IDLE = ("LOCK", "reserve", "partial/")


@dataclass(frozen=True)
class Case:
    """A run as a kill left it, or complete."""

    folder: Path
    findings: list[Finding]
    items: dict[str, Any]

    @classmethod
    def of(cls, folder: Path) -> Case:
        return cls(folder, check(folder, OPTIONS.unmanaged), items(folder))


def items(folder: Path) -> dict[str, Any]:
    return {
        f"{step} {key}": rows
        for step, path in existing_logs(folder).items()
        for line in split((folder / path).read_bytes())
        if line.value is not None
        for _, key, rows in [line.value]
    }


@pytest.fixture
def cases(driver: Driver, room: Path, whole: Whole) -> list[Case]:
    """Whole; in the middle of a log; the log synced to its end; a file not yet moved; the copy one entry behind."""
    calls = whole()[0].calls
    moving = max(number for number, name in enumerate(calls) if name == "rename")
    copying = max(number for number, name in enumerate(calls[:moving]) if name == "write")
    moments = {"log": 150, "synced": calls.index("open", 150), "moving": moving, "behind": copying}
    driver.play(room / "whole")
    for name, call in moments.items():
        assert driver.play(room / name, {"call": call + 1, "how": "before"}).code == -9
    return [Case.of(room / name) for name in ("whole", *moments)]


def flip(place: Path, bit: int) -> None:
    data = bytearray(place.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    place.write_bytes(data)


def _flips(case: Case, room: Path, number: int, whole: Whole) -> dict[str, int]:
    """Flips one bit after the other, each in a copy of its own, and resumes the run that was repaired."""
    rng, counts = random.Random(case.folder.name), {"noticed": 0, "idle": 0, "repaired": 0, "done again": 0}
    files = sorted(path for path, data in tree(case.folder).items() if data)
    for _ in range(number):
        folder = room / "flipped"
        shutil.copytree(case.folder, folder)
        # Files by turns rather than by size, or the journal would hardly be hit.
        path = rng.choice(files)
        bit = rng.randrange((folder / path).stat().st_size * 8)
        flip(folder / path, bit)
        found = check(folder, OPTIONS.unmanaged)
        if found == case.findings:
            assert path.startswith(IDLE), f"bit {bit} of {path} in {case.folder.name} went unseen"
            assert Reader.read(folder).journal == Reader.read(case.folder).journal
            counts["idle"] += 1
        else:
            counts["noticed"] += 1
        _repair(case, folder, path, counts, whole)
        shutil.rmtree(folder)
    return counts


def _repair(case: Case, folder: Path, path: str, counts: dict[str, int], whole: Whole) -> None:
    before, entries = tree(folder), salvage(folder)[0].entries
    repair(folder, OPTIONS.unmanaged)
    assert not any(finding.is_damage for finding in check(folder, OPTIONS.unmanaged))
    journal = Reader.read(folder).journal
    assert journal[: len(entries)] == entries
    # Files are where they were or set aside; journal and logs keep each line that was whole.
    held = set(tree(folder).values())
    assert not [p for p, data in before.items() if data not in held and not p.startswith((*IDLE, "journal", "logs/"))]
    left = items(folder)
    lost = case.items.keys() - left.keys()
    assert len(lost) <= (2 if path.startswith("logs/") else 0), f"{lost} were whole"
    play(folder, SCRIPT, lambda note: None)
    again = any(entry.kind == "invalidate" for entry in journal)
    counts["done again" if again else "repaired"] += 1
    found = {p: data for p, data in tree(folder).items() if not p.startswith("quarantine")}
    expected = whole()[1]
    assert found.keys() == expected.keys()
    # A step that was invalidated and done again has left a trace in the journal.
    assert not [p for p in found if found[p] != expected[p] and not (again and p.startswith("journal"))]


@pytest.mark.parametrize("number", [5, pytest.param(250, marks=pytest.mark.slow)])
def test_no_flipped_bit_is_trusted(cases: list[Case], room: Path, whole: Whole, number: int) -> None:
    for case in cases:
        print(case.folder.name, _flips(case, room, number, whole))
