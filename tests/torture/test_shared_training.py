"""A run and the processes that share its training are killed at random instants: it ends with the same weights."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.torture.runs import Driver, outcome

#: Deaths: some here, more under `make torture`.
MANY = int(os.environ.get("SELFTRAIN_DEATHS", "24")) // 4


def children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def trained(folder: Path) -> torch.Tensor:
    weights = load_file(folder / "weights" / "round-0001" / "model.safetensors")
    return torch.cat([weights[name].flatten() for name in sorted(weights)])


class Killer(threading.Thread):
    """Kills the run, or one of its processes, or tells the run to stop, some time after a training has begun."""

    def __init__(self, driver: Driver, place: Path, luck: random.Random) -> None:
        super().__init__()
        self._driver, self._place, self.killed = driver, place, ""
        self._victim, self._after, self._which = (
            luck.choice(["run", "process", "stop"]),
            luck.uniform(0, 10),
            luck.random(),
        )
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.02) and not [*self._place.glob("selftrain-training-*/current")]:
            pass
        if self._over.wait(self._after):
            return
        run = children(self._driver.pid)
        victims = [pid for one in run for pid in children(one)] if self._victim == "process" else run
        with suppress(OSError, IndexError):
            how = signal.SIGTERM if self._victim == "stop" else signal.SIGKILL
            os.kill(victims[int(self._which * len(victims))], how)
            self.killed = self._victim

    def over(self) -> str:
        self._over.set()
        self.join()
        return self.killed


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Of temporary files."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    tempfile.tempdir = None
    yield tmp_path / "temporary"
    tempfile.tempdir = None


@pytest.mark.slow
def test_models_in_turns_are_trained_by_the_same_processes(tmp_path: Path) -> None:
    with Driver() as driver:
        for processes in (1, 2):
            (tmp_path / str(processes)).mkdir()
            assert driver.run("pst", tmp_path / str(processes) / "run", processes=processes).code == 0
    one, two = (tmp_path / name / "run" / "weights" for name in ("1", "2"))
    files = [file.relative_to(one) for file in one.rglob("model.safetensors")]
    assert len(files) == 2
    for file in files:
        expected, found = load_file(one / file), load_file(two / file)
        assert all((found[name] - expected[name]).abs().max() < 1e-5 for name in expected)


@pytest.mark.slow
def test_deaths_in_a_training_of_several_processes_change_nothing(tmp_path: Path, place: Path) -> None:
    luck, deaths = random.Random("deaths"), Counter[str]()
    with Driver() as driver:
        whole = tmp_path / "whole" / "run"
        whole.parent.mkdir()
        assert driver.run("training", whole, processes=2).code == 0
        expected, kept = trained(whole), outcome(whole)
        while deaths["run"] + deaths["process"] < MANY:
            folder = tmp_path / str(deaths.total()) / "run"
            folder.parent.mkdir()
            code = -9
            while code != 0:
                killer = Killer(driver, place, luck)
                killer.start()
                ran = driver.run("training", folder, processes=luck.choice([2, 3]))
                code, killed = ran.code, killer.over()
                deaths[killed] += bool(killed)
                # One that is told to stop may just have ended.
                assert code in {"run": (-9,), "stop": (75, 0)}.get(killed, (0,)), (killed, ran.notes)
                # One that is just being started sees that the run is gone when it has imported torch.
                until = time.monotonic() + 90
                while any(place.glob("selftrain-*")) and time.monotonic() < until:
                    time.sleep(0.1)
                assert not [*place.glob("selftrain-*")], "the processes of a dead run end, and leave nothing"
            found = outcome(folder)
            assert found.keys() == kept.keys()
            assert [name for name in kept if name.startswith("samples/") and found[name] != kept[name]] == []
            assert (trained(folder) - expected).abs().max() < 1e-5
