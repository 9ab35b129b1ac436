"""Supervisors die, are replaced, and take nothing with them; nothing outlives its driver."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from selftrain.sandbox import CheckJob, Limits, Sandbox, StdinJob, open_sandbox
from selftrain.sandbox.worker import SandboxWorker
from tests.sandbox.conftest import holds


def _with_killer(opened: Sandbox, jobs: int, pause: float) -> tuple[int, dict[str, int], int]:
    """Run jobs while supervisors are killed at random. How many died, the statuses, and wrong verdicts."""
    done, killed, luck = threading.Event(), 0, random.Random(7)

    def kill() -> None:
        nonlocal killed
        while not done.wait(luck.uniform(0.5, 1.5) * pause):
            alive = opened.supervisor_pids
            if alive:
                killed += 1
                with contextlib.suppress(ProcessLookupError):  # it has just been replaced
                    os.kill(luck.choice(alive), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        printed = opened.run_stdin([StdinJob(f"print({n})") for n in range(jobs // 2)])
        checks = [
            CheckJob("def f(n): return n + 1", "f", f"assert f({n}) == {n + 1 + n % 2}") for n in range(jobs // 2)
        ]
        checked = opened.check(checks)
    finally:
        done.set()
        killer.join()
    statuses: dict[str, int] = {}
    wrong = 0
    for number, one in enumerate(printed):
        statuses[one.status] = statuses.get(one.status, 0) + 1
        wrong += one.status != "unjudged" and (one.status, one.stdout) != ("ran", f"{number}\n")
    for number, one in enumerate(checked):
        statuses[one.status] = statuses.get(one.status, 0) + 1
        wrong += one.status not in ("unjudged", "failed" if number % 2 else "passed")
    return killed, statuses, wrong


@pytest.mark.slow
def test_jobs_survive_the_death_of_their_supervisors(sandbox: Sandbox) -> None:
    killed, statuses, wrong = _with_killer(sandbox, 120, 0.2)
    assert killed and wrong == 0 and sum(statuses.values()) == 120


@pytest.mark.slow
def test_none_of_2000_jobs_is_lost_to_random_kills() -> None:
    with open_sandbox(workers=4) as opened:
        killed, statuses, wrong = _with_killer(opened, 2000, 0.4)
    print(f"{killed} supervisors killed, {statuses}")
    assert killed > 20 and wrong == 0 and sum(statuses.values()) == 2000


def test_a_job_whose_supervisors_keep_dying_is_unjudged() -> None:
    with open_sandbox(workers=1) as opened, ThreadPoolExecutor(1) as background:
        job = background.submit(opened.run_stdin, [StdinJob("import time; time.sleep(5)")], Limits(seconds=10))
        killed = set()
        while not job.done():
            for pid in {*opened.supervisor_pids} - killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            time.sleep(0.01)
        (outcome,) = job.result()
    assert (outcome.status, len(killed)) == ("unjudged", 3)
    assert "failed 3 times" in outcome.reason and "gone" in outcome.reason


def test_supervisors_are_replaced_after_so_many_jobs() -> None:
    tier = next((tier for tier in (3, 2, 1) if holds(tier)), 0)
    worker, seen = SandboxWorker(0, tier, "pure", max_jobs=5), set()
    for _ in range(12):
        assert worker.run(StdinJob("print(1)"), Limits()).stdout == "1\n"
        seen |= {*worker.supervisor_pids}
    worker.close()
    assert len(seen) == 3


def test_nothing_outlives_a_driver_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys\nsys.path.insert(0, sys.argv[1])\n"
        "from selftrain.sandbox import Limits, StdinJob, open_sandbox\n"
        "opened = open_sandbox(workers=1)\n"
        "opened.run_stdin([StdinJob('pass')])\n"
        "print(*opened.supervisor_pids, flush=True)\n"
        "opened.run_stdin([StdinJob('while True: pass')], Limits(seconds=60))\n"
    )
    root = str(Path(__file__).parents[2])
    driver = subprocess.Popen([sys.executable, "-c", program, root], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    left = [int(number) for number in driver.stdout.readline().split()]
    time.sleep(0.2)
    driver.kill()
    driver.wait()
    deadline = time.monotonic() + 5
    while (alive := [pid for pid in left if _runs(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left and not alive


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_closing_leaves_no_process() -> None:
    opened = open_sandbox(workers=2)
    opened.check([CheckJob("def f(): return 1", "f", "assert f() == 1")] * 4)
    left = opened.supervisor_pids
    opened.close()
    assert left and not any(_runs(pid) for pid in left)
