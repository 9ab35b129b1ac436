"""Hostile answers, and a worker that hangs, dies or never starts."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from selftrain.graders import MathGrader
from selftrain.graders.math.worker import MathWorker
from tests.graders.answers import grade, problem


def kill_supervisor(worker: MathWorker) -> None:
    if (pid := worker.supervisor_pid) is not None:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def kill_child(worker: MathWorker) -> None:
    pid = worker.supervisor_pid
    with contextlib.suppress(OSError, IndexError):
        os.kill(int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]), signal.SIGKILL)


HOSTILE = {
    "tower": "9^{9^{9^{9}}}",
    "bare tower": "9^9^9^9",
    "huge exponent": "10^{100000000}",
    "expansion": "(x+1)^{99999}",
    "factorial": "100000000!",
    "factorial of a power": "(10^{10})!",
    "factorials of factorials": "((3!)!)!",
    "long sum": "\\sum_{k=1}^{1000000000} k",
    "5,000 braces": "{" * 5000 + "}" * 5000,
    "5,000 brackets": "(" * 5000 + "x" + ")" * 5000,
    "40 boxes": "\\boxed{" * 40 + "1" + "}" * 40,
    "a million digits": "7" * 1_000_000,
    "20,000 values": ",".join(map(str, range(20_000))),
    "code": "__import__('os').system('touch hacked')",
    "Python power": "10**10**10",
    "superscript digits": "５²²²",
    "letters as digits": "l8O",
    "open fraction": "\\frac{" * 50,
    "separators": "," * 5000,
    "expanding powers": "(x+1)^{999}(y+2)^{999}",
    "NUL and escapes": "\x00\x1b[31m18",
    "lone surrogate": "\ud800",
}
SLOW = {"bare braces": "{" * 15 + "x" + "}" * 15, "braces in a sum": "{" * 15 + "x+1" + "}" * 15}


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("gold", ["7", "x^2+1", "odd"])
def test_a_hostile_answer_is_wrong_at_once(math_grader: MathGrader, here_empty: Path, gold: str, answer: str) -> None:
    grade(math_grader, problem("x^2+1"), "#### x^2")  # the worker runs
    started = time.perf_counter()
    assert grade(math_grader, problem(gold), f"#### {answer}").value == 0.0
    assert grade(math_grader, problem(gold), f"$\\boxed{{{answer}}}$").value == 0.0
    assert time.perf_counter() - started < 2.0
    assert not list(here_empty.iterdir())


@pytest.fixture(scope="module")
def impatient() -> Iterator[MathGrader]:
    with MathGrader(worker=MathWorker(limit=0.3)) as grader:
        yield grader


@pytest.mark.parametrize("answer", SLOW.values(), ids=SLOW.keys())
def test_a_slow_answer_is_wrong_and_costs_its_time_once(impatient: MathGrader, answer: str) -> None:
    score = grade(impatient, problem("x^2+1"), f"#### {answer}")
    assert (score.value, score.reason) == (0.0, "took longer than 0.3 s to compare")
    started = time.perf_counter()
    assert grade(impatient, problem("x^2+1"), f"#### {answer}").value == 0.0
    assert time.perf_counter() - started < 0.1
    assert grade(impatient, problem("x^2+1"), "#### 1+x^2").value == 1.0


def test_a_gold_that_takes_too_long_is_unjudged(impatient: MathGrader) -> None:
    score = grade(impatient, problem(SLOW["braces in a sum"]), "#### 5")
    assert score.value is None
    assert "takes longer than 0.3 s to read" in score.reason


def test_threads_share_a_worker(math_grader: MathGrader) -> None:
    def verdict(k: int) -> float | None:
        return grade(math_grader, problem(f"x^2+{k // 2}"), f"#### {k - k // 2}+x^2").value

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(verdict, range(2, 40))) == [float(k % 2 == 0) for k in range(2, 40)]


def test_a_worker_killed_from_outside_is_replaced(math_grader: MathGrader, math_worker: MathWorker) -> None:
    assert grade(math_grader, problem("x^2+1"), "#### x^2+1+0").value == 1.0
    for kill in (kill_supervisor, kill_child, kill_child, kill_supervisor, kill_child):
        kill(math_worker)
        assert grade(math_grader, problem("x^2+1"), f"#### 1+{uuid4().int % 10**6} \\cdot 0+x^2").value == 1.0


@pytest.mark.parametrize("gradings", [15, pytest.param(2000, marks=pytest.mark.slow)])
def test_workers_killed_at_random_cost_no_verdict(gradings: int) -> None:
    """Formulas, so that each is asked of a worker, and every third answer is wrong."""
    rng = random.Random(gradings)
    done, worker = threading.Event(), MathWorker()

    def kill_now_and_then() -> None:
        for turn in itertools.count(1):
            if done.wait(rng.uniform(0.0, 0.1)):
                return
            (kill_supervisor if turn % 50 == 0 else kill_child)(worker)

    with MathGrader(worker=worker) as grader:
        killer = threading.Thread(target=kill_now_and_then)
        killer.start()
        try:
            for k in range(gradings):
                answer = f"{k} + x^2" if k % 3 else f"{k + 1} + x^2"
                score = grade(grader, problem(f"x^2+{k}"), f"#### {answer}")
                assert score.value in (None, float(k % 3 > 0)), score
                assert score.value is not None or "from outside" in score.reason
        finally:
            done.set()
            killer.join()


def test_a_worker_that_is_always_killed_leaves_the_answer_unjudged(tmp_path: Path) -> None:
    with MathGrader(worker=worker_running(READY + "  os.kill(os.getpid(), 9)", tmp_path)) as grader:
        score = grade(grader, problem("x^2"), "#### y")
        assert (score.value, "killed 10 times from outside" in score.reason) == (None, True)


def test_the_next_child_is_there_at_once(impatient: MathGrader) -> None:
    grade(impatient, problem("x^2+1"), f"#### {SLOW['bare braces']}+0")
    started = time.perf_counter()
    assert grade(impatient, problem("x^2+1"), "#### 0+0+1+x^2").value == 1.0
    assert time.perf_counter() - started < 1.0


def test_closing_ends_the_process_and_is_not_final() -> None:
    worker = MathWorker()
    with MathGrader(worker=worker) as grader:
        assert grade(grader, problem("x^2"), "#### x \\cdot x").value == 1.0
        pid = worker.supervisor_pid
    assert pid is not None and worker.supervisor_pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    grader.close()
    assert grade(grader, problem("x^2"), "#### x^3").value == 0.0
    grader.close()


@pytest.fixture
def here_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def worker_running(program: str, tmp_path: Path) -> MathWorker:
    """A worker that runs another program than math-verify's."""
    path = tmp_path / "program.py"
    path.write_text(f"import json, os, sys, time\n{program}\n", encoding="utf-8")
    return MathWorker(limit=0.3, program=path)


READY = """
say = lambda ok: print(json.dumps({'n': ask['n'], 'ok': ok}), flush=True)
print(json.dumps({'ready': os.getpid()}), flush=True)
for line in sys.stdin:
  ask = json.loads(line)
"""


@pytest.mark.parametrize("program", ["raise ImportError('no math_verify here')", "os._exit(3)"])
def test_a_worker_that_cannot_start_leaves_formulas_unjudged(program: str, tmp_path: Path) -> None:
    with MathGrader(worker=worker_running(program, tmp_path)) as grader:
        scores = [grade(grader, problem("x^2"), f"#### {answer}") for answer in ("x^2", "x", "y")]
        assert [score.value for score in scores] == [None] * 3
        assert all("math-verify cannot be started" in score.reason for score in scores)
        assert grade(grader, problem("18"), "#### 18").value == 1.0


def test_a_gold_that_kills_the_worker_is_unjudged(tmp_path: Path) -> None:
    with MathGrader(worker=worker_running(READY + "  os._exit(1)", tmp_path)) as grader:
        score = grade(grader, problem("x^2"), "#### x^2")
        assert score.value is None
        assert "math-verify dies of it" in score.reason


def test_an_answer_that_kills_the_worker_is_wrong(tmp_path: Path) -> None:
    program = READY + "  os._exit(1) if 'answer' in ask else say(True)"
    with MathGrader(worker=worker_running(program, tmp_path)) as grader:
        score = grade(grader, problem("x^2"), "#### y")
        assert (score.value, score.reason) == (0.0, "math-verify died comparing it")


def test_a_stopped_process_costs_no_answer_its_verdict() -> None:
    """Not while it is stopped, which others do, and not because of the time that this took."""
    worker = MathWorker(limit=0.4)
    assert worker.compare("x^2", "x \\cdot x")[0]
    pid = worker.supervisor_pid
    child = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    os.kill(child, signal.SIGSTOP)
    timer = threading.Timer(1.0, os.kill, (child, signal.SIGCONT))
    timer.start()
    verdict = worker.compare("x^2", "x^2 + 0")
    timer.join()
    worker.close()
    assert verdict == (True, "equal by math-verify")


def test_a_process_that_never_runs_leaves_the_answer_unjudged(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("selftrain.graders.math.worker_process._LAST_DEADLINE", 1.0)
    monkeypatch.setattr("selftrain.graders.math.worker_process._BUSY_FACTOR", 1.0)
    with MathGrader(
        worker=worker_running(READY + "  time.sleep(9) if 'answer' in ask else say(True)", tmp_path)
    ) as grader:
        score = grade(grader, problem("x^2"), "#### y")
    assert score.value is None and "too busy" in score.reason


def test_a_late_reply_is_not_taken_for_the_next(tmp_path: Path) -> None:
    spin = "[None for _ in iter(lambda: time.process_time() < end, False)]"
    program = (
        READY + f"  end = time.process_time() + 0.6 * (ask.get('answer') == 'slow'); {spin}\n"
        "  say(ask.get('answer') != 'wrong')"
    )
    worker = worker_running(program, tmp_path)
    assert worker.compare("x", "slow") == (False, "took longer than 0.3 s to compare")
    assert worker.compare("x", "wrong")[0] is False
    assert worker.compare("x", "right")[0] is True
    worker.close()


@pytest.fixture
def orphaned() -> int:
    """The worker of a process that was killed."""
    code = (
        "import time; from selftrain.graders.math.worker import MathWorker\n"
        "w = MathWorker(); w.compare('x', 'x'); print(w.supervisor_pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    return pid


def test_no_worker_outlives_its_run(orphaned: int) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{orphaned}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the worker still runs")
