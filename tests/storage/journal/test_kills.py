"""Killed at any system call, by kill or by a loss of power, and once more while it recovers: the same bytes at last."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.storage.journal.conftest import Tree
from tests.storage.journal.driver import Driver, Played, tree
from tests.storage.journal.script import SCRIPT

HOWS = ("before", "after", "half", "power")
Plan = dict[str, object]
Whole = Callable[..., tuple[Played, Tree]]
_fresh = count()


def survives(
    driver: Driver, room: Path, whole: Whole, plans: Sequence[Plan], script: dict[str, int] = SCRIPT
) -> list[int]:
    """Play under each plan in turn, then to the end. The exit codes."""
    folder = room / f"run-{next(_fresh)}"
    plays = [driver.play(folder, plan, script) for plan in (*plans, {})]
    assert plays[-1].code == 0, (plans, plays[-1].notes)
    _compare(tree(folder), whole(script)[1], plans)
    # A loss of power may take what was not synced yet, a mere kill takes nothing.
    kept = "safe" if any(plan["how"] == "power" for plan in plans) else "kept"
    done: set[str] = set()
    for play in plays:
        made = {note.removeprefix("made ") for note in play.notes if note.startswith("made ")}
        assert not made & done, f"{plans}: made again: {made & done}"
        done |= _done(play.notes, kept)
    shutil.rmtree(folder)
    return [play.code for play in plays]


def _compare(found: Tree, expected: Tree, plans: Sequence[Plan]) -> None:
    """Not with `==` in one go, whose report of a difference would be as long as the files."""
    assert found.keys() == expected.keys(), plans
    differing = [path for path in found if found[path] != expected[path]]
    assert not differing, (plans, differing)


def _done(notes: Sequence[str], kept: str) -> set[str]:
    if kept == "safe":
        if "safe" not in notes:
            return set()
        notes = notes[: len(notes) - notes[::-1].index("safe")]
    return {note.removeprefix("kept ") for note in notes if note.startswith("kept ")}


def points(whole: Whole, every: int, start: int = 1) -> range:
    return range(start, len(whole()[0].calls) + 1, every)


@pytest.mark.parametrize("how", HOWS)
def test_a_run_killed_now_and_then_ends_with_the_same_bytes(driver: Driver, room: Path, whole: Whole, how: str) -> None:
    """At other calls for each way."""
    for call in points(whole, 80, start=1 + 20 * HOWS.index(how)):
        assert survives(driver, room, whole, [{"call": call, "how": how}])[0] == -9


@pytest.mark.slow
@pytest.mark.parametrize("how", HOWS)
def test_a_run_killed_at_each_call_ends_with_the_same_bytes(driver: Driver, room: Path, whole: Whole, how: str) -> None:
    for call in points(whole, 1):
        assert survives(driver, room, whole, [{"call": call, "how": how}])[0] == -9
    print(f"{len(points(whole, 1))} points, {how}")


@pytest.mark.slow
def test_each_call_of_a_recovery_may_be_the_last(driver: Driver, room: Path, whole: Whole) -> None:
    """Killed in the middle of a log, and while its files move; then at each call of what follows."""
    calls, tried = whole()[0].calls, 0
    moved = calls.index("rename") + 1
    for first in ({"call": 70, "how": "half"}, {"call": moved, "how": "before"}, {"call": moved, "how": "after"}):
        for how in HOWS:
            for call in range(1, 40):
                survives(driver, room, whole, [first, {"call": call, "how": how}])
                tried += 1
    print(f"{tried} pairs")


_kills = st.lists(
    st.fixed_dictionaries({"call": st.integers(1, 350), "how": st.sampled_from(HOWS), "seed": st.integers(0, 99)}),
    min_size=2,
    max_size=4,
)
_scripts = st.fixed_dictionaries(
    {"rounds": st.integers(1, 4), "items": st.integers(0, 40), "flush_every": st.integers(1, 50)}
)
_any_number = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)


@settings(_any_number, max_examples=5)
@given(kills=_kills, script=_scripts)
def test_a_few_kills_in_a_row(
    driver: Driver, room: Path, whole: Whole, kills: list[Plan], script: dict[str, int]
) -> None:
    survives(driver, room, whole, kills, script)


@pytest.mark.slow
@settings(_any_number, max_examples=500)
@given(kills=_kills, script=_scripts)
def test_500_times_a_few_kills_in_a_row(
    driver: Driver, room: Path, whole: Whole, kills: list[Plan], script: dict[str, int]
) -> None:
    survives(driver, room, whole, kills, script)
