"""Runs that are killed, and whose disk fails, at one system call after another: they end as if nothing had happened."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from selftrain.storage.derived_files import UNMANAGED
from selftrain.storage.journal import check, repair
from tests.torture.runs import Driver, Ran, outcome

METHODS = ("rest-em", "sept", "pst")
#: Deaths of each method: some here, a thousand and more under `make torture`.
MANY = int(os.environ.get("SELFTRAIN_DEATHS", "40"))


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    with Driver() as opened:
        yield opened


Whole = Callable[[str], tuple[Ran, dict[str, bytes]]]


@pytest.fixture(scope="module")
def whole(driver: Driver, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Runs that nothing happens to, each made when it is first needed."""

    @cache
    def made(method: str) -> tuple[Ran, dict[str, bytes]]:
        folder = tmp_path_factory.mktemp(method) / "run"
        ran = driver.run(method, folder)
        assert ran.code == 0, ran.notes
        found = outcome(folder)
        assert {name.split("/")[0] for name in found} >= {"samples", "weights", "evaluations"}
        return ran, found

    return made


def finish(driver: Driver, method: str, folder: Path, deaths: list[Ran]) -> list[Ran]:
    """Resumes a run to its end, and holds it to what was promised: what was kept is never asked for again."""
    ended = driver.run(method, folder)
    assert ended.code == 0, ended.notes
    kept: set[str] = set()
    for ran in (*deaths, ended):
        assert kept & set(ran.keys("computing")) == set()
        kept |= set() if ran.lost_power else set(ran.keys("kept"))
    return [*deaths, ended]


def same(folder: Path, expected: dict[str, bytes]) -> None:
    found = outcome(folder)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


def points(calls: int, number: int, salt: str) -> list[int]:
    drawn = random.Random(f"{salt}").sample(range(1, calls + 1), min(number, calls))
    return sorted(drawn)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("how", ["half", "before"])
def test_a_few_deaths_change_nothing(driver: Driver, whole: Whole, tmp_path: Path, method: str, how: str) -> None:
    ran, expected = whole(method)
    for call in points(ran.calls, 1 if how == "half" else 2, f"{method}{how}"):
        folder = tmp_path / str(call) / "run"
        folder.parent.mkdir()
        died = driver.run(method, folder, {"call": call, "how": how})
        assert died.code == -9
        finish(driver, method, folder, [died])
        same(folder, expected)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_many_deaths_change_nothing(driver: Driver, whole: Whole, tmp_path: Path, method: str) -> None:
    ran, expected = whole(method)
    deaths = 0
    for number, call in enumerate(points(ran.calls, MANY, method)):
        folder = tmp_path / "run"
        died = driver.run(method, folder, {"call": call, "how": ("before", "after", "half", "power")[number % 4]})
        # Logs are synced by the clock, so a run has some calls more or less: it may end before one of the last.
        assert died.code in (-9, 0), (call, died.notes)
        deaths += died.code == -9
        finish(driver, method, folder, [died])
        same(folder, expected)
        shutil.rmtree(folder)
    assert deaths > 0.95 * MANY


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_deaths_in_a_row_change_nothing(driver: Driver, whole: Whole, tmp_path: Path, method: str) -> None:
    ran, expected = whole(method)
    luck = random.Random(method)
    for _ in range(MANY // 10):
        folder, deaths = tmp_path / "run", list[Ran]()
        for _ in range(luck.randint(2, 4)):
            plan = {"call": luck.randint(1, ran.calls // 2), "how": luck.choice(["before", "after", "half", "power"])}
            deaths.append(driver.run(method, folder, plan))
            assert deaths[-1].code in (-9, 0)
        finish(driver, method, folder, deaths)
        same(folder, expected)
        shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("what", ["samples/round-0001*", "evaluations/*", "weights/**/*.safetensors"])
def test_what_was_damaged_is_made_again(driver: Driver, whole: Whole, tmp_path: Path, method: str, what: str) -> None:
    """From the weights it came of: those of the round itself for an evaluation, of the round before for all else."""
    _, expected = whole(method)
    folder = tmp_path / "run"
    assert driver.run(method, folder).code == 0
    damaged = [place for place in folder.glob(what) if place.is_file()]
    assert damaged
    for place in damaged:
        content = bytearray(place.read_bytes())
        content[len(content) // 2] ^= 1
        place.write_bytes(content)
    assert {one.file for one in repair(folder, UNMANAGED)} == {str(place.relative_to(folder)) for place in damaged}
    assert driver.run(method, folder).code == 0
    assert check(folder, UNMANAGED) == []
    same(folder, expected)


@pytest.mark.slow
def test_what_cannot_be_made_again_costs_itself_alone(driver: Driver, whole: Whole, tmp_path: Path) -> None:
    """The weights of round 1, which is not evaluated here, are gone once round 2 is done."""
    _, expected = whole("rest-em")
    folder = tmp_path / "run"
    assert driver.run("rest-em", folder).code == 0
    for name in ("samples/round-0002.parquet", "evaluations/round-0002.parquet"):
        (folder / name).write_bytes(b"")
    repair(folder, UNMANAGED)
    assert driver.run("rest-em", folder).code == 0
    same(folder, {name: content for name, content in expected.items() if name != "samples/round-0002.parquet"})


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["ENOSPC", "EIO", "EDQUOT", "EINTR"])
def test_a_failing_disk_ends_the_run_with_a_message_and_changes_nothing(
    driver: Driver, whole: Whole, tmp_path: Path, fault: str
) -> None:
    codes: Counter[int] = Counter()
    for method in METHODS:
        ran, expected = whole(method)
        for call in points(ran.calls, MANY // 8, f"{method}{fault}"):
            folder = tmp_path / "run"
            failed = driver.run(method, folder, {"call": call, "how": fault, "for_good": fault != "EINTR"})
            assert failed.code in (0, 74), (method, call, failed.notes)
            assert not any(one.startswith("traceback") for one in failed.notes)
            codes[failed.code] += 1
            finish(driver, method, folder, [failed])
            same(folder, expected)
            shutil.rmtree(folder)
    assert codes[74] or fault == "EINTR"
