"""Every call that changes the disk fails, once or for good: a clean end that names the file, then the same bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.storage.journal.driver import Driver, tree
from tests.storage.journal.test_kills import Whole, points, survives

CODES = ("ENOSPC", "EDQUOT", "EIO", "EROFS", "EACCES")


def _strike(driver: Driver, room: Path, whole: Whole, plans: Iterable[dict[str, Any]]) -> dict[int, set[str]]:
    """By exit code the calls that were struck."""
    codes: dict[int, set[str]] = {}
    for plan in plans:
        code, _ = survives(driver, room, whole, [plan])
        codes.setdefault(code, set()).add(whole()[0].calls[plan["call"] - 1])
    return codes


def _require_clean_ends(codes: dict[int, set[str]]) -> None:
    """0 is for what nothing depends on: to make a folder that is there, to remove an empty one or the reserve."""
    assert codes.keys() <= {74, 0} and codes.get(0, set()) <= {"mkdir", "rmdir", "unlink", "ftruncate"}, codes


@pytest.mark.parametrize("how", CODES)
def test_a_failing_call_ends_the_run_with_74(driver: Driver, room: Path, whole: Whole, how: str) -> None:
    calls = enumerate(points(whole, 130, start=1 + 26 * CODES.index(how)))
    plans = ({"call": call, "how": how, "for_good": number % 2 == 0} for number, call in calls)
    _require_clean_ends(_strike(driver, room, whole, plans))


@pytest.mark.slow
@pytest.mark.parametrize("for_good", [False, True])
@pytest.mark.parametrize("how", CODES)
def test_each_failing_call_ends_the_run_with_74(
    driver: Driver, room: Path, whole: Whole, how: str, for_good: bool
) -> None:
    plans = ({"call": call, "how": how, "for_good": for_good} for call in points(whole, 1))
    _require_clean_ends(codes := _strike(driver, room, whole, plans))
    print(f"{len(points(whole, 1))} calls, {how}, {'for good' if for_good else 'once'}: {sorted(codes)}")


@pytest.mark.parametrize("every", [67, pytest.param(1, marks=pytest.mark.slow)])
def test_a_call_interrupted_by_a_signal_is_repeated(driver: Driver, room: Path, whole: Whole, every: int) -> None:
    plans = ({"call": call, "how": "EINTR"} for call in points(whole, every))
    assert _strike(driver, room, whole, plans).keys() == {0}


def test_the_message_names_file_reason_free_space_and_remedy(driver: Driver, room: Path, whole: Whole) -> None:
    call = whole()[0].calls.index("write", 60) + 1
    played = driver.play(room / "run", {"call": call, "how": "ENOSPC", "for_good": True})
    found, why, do = played.error.splitlines()
    place = room / "run/logs/round-0001%2Fanswers.log"
    assert re.fullmatch(rf"{place}: No space left on device \([\d,]+ bytes free\)", found)
    assert (why, do) == ("the run stops here; everything before it is intact", "free some space and resume")


def test_the_reserve_lets_the_item_in_progress_be_kept(driver: Driver, room: Path, whole: Whole) -> None:
    """One failure, as on a disk that is full until the reserve is freed."""
    call = whole()[0].calls.index("write", 60) + 1
    full, folder = {"call": call, "how": "ENOSPC"}, room / "run"
    first = driver.play(folder, full)
    assert first.code == 74 and not (folder / "reserve").exists()
    in_hand = next(note for note in reversed(first.notes) if note.startswith("made"))
    second = driver.play(folder)
    assert second.code == 0 and in_hand not in second.notes and tree(folder) == whole()[1]


def test_a_failed_sync_is_not_repeated(driver: Driver, room: Path, whole: Whole) -> None:
    """The kernel would say yes, of pages that it dropped."""
    syncs = [call for call, name in enumerate(whole()[0].calls, 1) if name == "fsync"]
    for call in syncs[::12]:
        played = driver.play(room / f"run-{call}", {"call": call, "how": "ENOSPC"})
        assert played.code == 74 and "fsync" not in played.calls[call:]
