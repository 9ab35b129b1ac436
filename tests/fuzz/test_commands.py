"""Commands on broken model folders, data files and run folders: a message, never a traceback, a hang or all memory."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.cases import RUN, Case, Prepare, data, model, named_model, named_models, run_folder
from tests.fuzz.commands import Commands

#: Seconds of processor time that a command may take, and after which it is ended: others may use the machine, too.
LIMIT, END = 10.0, 40.0


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands() as forked:
        yield forked


@pytest.fixture(scope="module")
def finished(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("finished")
    ran = commands.run(RUN, folder, 300)
    assert ran.code == 0, ran.output
    return folder / "run"


@pytest.fixture(scope="module")
def stopped(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was stopped after its first round."""
    folder = tmp_path_factory.mktemp("stopped")
    ran = commands.run([*RUN, "--max_rounds", "1"], folder, 300)
    assert ran.code == 75, ran.output
    return folder / "run"


def faults(commands: Commands, folder: Path, case: Case) -> list[str]:
    """What goes wrong, in words; the commands after the first one that does are not run."""
    for words in case.commands:
        ran = commands.run(words, folder, END)
        wrong = ran.wrong(LIMIT) or ("accepted" if case.refused and ran.code == 0 else "")
        if wrong:
            return [f"{case.label} | {' '.join(words[:3])}: {wrong} ({ran.code})\n{ran.output[-1500:]}"]
    return []


def tried(commands: Commands, folder: Path, prepare: Prepare, count: int, seed: str) -> None:
    found = []
    for number in range(count):
        place = folder / "case"
        place.mkdir(exist_ok=True)
        case = prepare(place, random.Random(f"{seed}/{number}"))
        found += [f"{seed}/{number}: {fault}" for fault in faults(commands, place, case)]
    assert not found, f"{len(found)} of {count}\n" + "\n\n".join(found[:20])


@pytest.mark.slow
def test_a_few_broken_files_and_runs(commands: Commands, tmp_path: Path, stopped: Path) -> None:
    tried(commands, tmp_path, model, 4, "quick models")
    tried(commands, tmp_path, data, 4, "quick data")
    tried(commands, tmp_path, run_folder(stopped), 2, "quick runs")


@pytest.mark.slow
def test_model_folders_that_are_broken_in_known_ways(commands: Commands, tmp_path: Path) -> None:
    found = [fault for name in named_models() for fault in faults(commands, tmp_path, named_model(tmp_path, name))]
    assert not found, "\n\n".join(found[:20])


@pytest.mark.slow
def test_model_folders(commands: Commands, tmp_path: Path) -> None:
    tried(commands, tmp_path, model, 500, "models")


@pytest.mark.slow
def test_data_files(commands: Commands, tmp_path: Path) -> None:
    tried(commands, tmp_path, data, 1000, "data")


@pytest.mark.slow
def test_folders_of_finished_runs(commands: Commands, tmp_path: Path, finished: Path) -> None:
    tried(commands, tmp_path, run_folder(finished), 150, "finished")


@pytest.mark.slow
def test_folders_of_stopped_runs(commands: Commands, tmp_path: Path, stopped: Path) -> None:
    tried(commands, tmp_path, run_folder(stopped), 100, "stopped")
