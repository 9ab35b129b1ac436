"""Two machines, as far as torchrun knows: an agent each, and a folder that both see. One of them is lost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from selftrain.training.dialogue import SILENCE
from tests.end_to_end.test_resume import run, start, wait_for
from tests.engines.ray.test_training import LONGER, ROUNDING, distance, rows

pytestmark = pytest.mark.slow

#: As docs/training.md tells: with a store that both agents share an agent that comes later never joins (torch 2.13).
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}


class Machines:
    """Agents of torchrun, with a process each. The first one keeps what both agree on."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.agents = folder, list[subprocess.Popen[bytes]]()
        folder.mkdir()
        self.start(2)

    def start(self, number: int) -> None:
        if not self.agents:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self._port = free.getsockname()[1]
        for _ in range(number):
            command = ["--nnodes", "2", "--nproc_per_node", "1", "--max_restarts", "100", "--rdzv_backend", "c10d",
                       "--rdzv_endpoint", f"localhost:{self._port}", "-m", "selftrain.training.worker"]  # fmt: skip
            with (self.folder / f"agent-{time.monotonic_ns()}.log").open("wb") as log:
                agent = subprocess.Popen(
                    [sys.executable, "-m", "torch.distributed.run", *command, str(self.folder), "cpu"],
                    env=os.environ | ENVIRONMENT, stdout=log, stderr=log,
                )  # fmt: skip
            self.agents.append(agent)
            time.sleep(0.5 if number > 1 else 0)

    def lose(self, number: int) -> None:
        """Its process ends with the agent."""
        lost = self.agents.pop(number)
        lost.kill()
        lost.wait()

    def kill_process(self, number: int) -> None:
        os.kill(int((self.folder / f"pid-{number}").read_text()), signal.SIGKILL)

    def steps(self) -> int:
        """Of the training that goes on."""
        with suppress(OSError):
            job = (self.folder / "current").read_text()
            return (self.folder / job / "events").read_text().count('["step"')
        return 0

    def trained(self, steps: int, process: Any) -> None:
        until = time.monotonic() + 300
        while self.steps() < steps:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < until, "it does not go on"
            time.sleep(0.02)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    made = Machines(tmp_path / "shared")
    yield made
    while made.agents:
        made.lose(0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run by one process."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    place = LONGER.index("--output_dir") + 1
    run(*LONGER[:place], str(folder), *LONGER[place + 1 :])
    return folder


def same(folder: Path, whole: Path) -> None:
    assert rows(folder) == rows(whole)
    assert distance(folder, whole) < ROUNDING
    assert "every file is intact" in run("check", folder.name)[0]


def test_a_machine_that_is_lost_in_a_training_is_waited_for_and_replaced(
    here: Path, machines: Machines, whole: Path
) -> None:
    process = start(*LONGER, "--training_folder", str(machines.folder))
    for number in (1, 0, 1):
        # What each agent counts of it is another number of restarts.
        machines.trained(machines.steps() + 4, process)
        machines.kill_process(number)
    machines.trained(machines.steps() + 4, process)
    machines.lose(1)
    made = machines.steps()
    time.sleep(SILENCE)
    wait_for(here / "run" / "log.txt", "no training process was heard of", process)
    assert machines.steps() == made
    machines.start(1)
    machines.trained(made + 4, process)
    _, err = process.communicate(timeout=400)
    assert process.returncode == 0 and "Traceback" not in err, err
    assert [agent.wait(60) for agent in machines.agents] == [0, 0], "they end with the run"
    same(here / "run", whole)
    assert distance(here / "run", whole) > 0, "sums in another order"


@pytest.mark.parametrize("others", [True, False], ids=["on others", "without any"])
def test_a_run_that_is_killed_with_the_machine_of_the_rendezvous_is_resumed(
    here: Path, machines: Machines, whole: Path, others: bool
) -> None:
    process = start(*LONGER, "--training_folder", str(machines.folder))
    machines.trained(6, process)
    machines.lose(0)
    process.kill()
    process.communicate()
    assert machines.agents.pop().wait(120) != 0, "nobody is left to agree with"
    if others:
        machines.start(2)
        run("resume", "run")
        assert [agent.wait(60) for agent in machines.agents] == [0, 0]
    else:
        run("resume", "run", "--set", "training_folder=null")
    same(here / "run", whole)
