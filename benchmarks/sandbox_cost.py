"""What one judged program costs in each tier, beside a process for each program.

python benchmarks/sandbox_cost.py [n]            writes docs/results/sandbox_cost.md

One worker, one job after the other, the ways in turn within each round, so that a busy moment hits all of them.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

from selftrain.sandbox import CallJob, CheckJob, Sandbox, SandboxError, StdinJob, open_sandbox

RESULTS = Path("docs/results/sandbox_cost.md")
PROGRAM = "def f(n):\n    return n * n + 3 * n + 7\n"
SCRIPT = "n = int(input())\nprint(n * n + 3 * n + 7)\n"
TEST = "def check(candidate):\n" + "".join(f"    assert candidate({n}) == {n * n + 3 * n + 7}\n" for n in range(4))
IMPORTS = "import math, re, collections, itertools, functools, heapq, random\n"


def by_process(text: str) -> Callable[[], bool]:
    """The usual way: write a file, start Python on it, wait."""
    folder = tempfile.mkdtemp()
    path = Path(folder) / "main.py"

    def once() -> bool:
        path.write_text(text, encoding="utf-8")
        ran = subprocess.run([sys.executable, "-I", str(path)], input="2\n", capture_output=True, text=True, timeout=10)
        return ran.stdout.strip() in ("17", "")

    return once


def prints(sandbox: Sandbox, job: StdinJob) -> bool:
    return sandbox.run_stdin([job])[0].stdout == "17\n"


def gives(sandbox: Sandbox, job: CallJob) -> bool:
    return sandbox.call([job])[0].values == (7, 11, 17, 25)


def passes(sandbox: Sandbox, job: CheckJob) -> bool:
    return sandbox.check([job])[0].status == "passed"


def ways(stack: ExitStack) -> dict[str, Callable[[], bool]]:
    found: dict[str, Callable[[], bool]] = {
        "a process per program: `python -I`": by_process(SCRIPT),
        "the same, seven usual imports": by_process(IMPORTS + SCRIPT),
        "the same, function and test in one file": by_process(PROGRAM + TEST + "check(f)\n"),
    }
    for tier in (3, 2, 1):
        try:
            one = stack.enter_context(open_sandbox(tier=tier, workers=1))
        except SandboxError:
            continue
        stdin, call = StdinJob(IMPORTS + SCRIPT, "2\n"), CallJob(PROGRAM, "f", ((0,), (1,), (2,), (3,)))
        check = CheckJob(PROGRAM, "f", TEST)
        found |= {
            f"tier {tier}, standard input": partial(prints, one, stdin),
            f"tier {tier}, four calls": partial(gives, one, call),
            f"tier {tier}, test in a process apart": partial(passes, one, check),
        }
    return found


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with ExitStack() as stack:
        together = ways(stack)
        times: dict[str, list[float]] = {name: [] for name in together}
        for number in range(rounds + 5):
            for name, once in together.items():
                start = time.perf_counter()
                assert once(), name
                if number >= 5:  # the first few start supervisors and warm caches
                    times[name].append(1000 * (time.perf_counter() - start))
    load = os.getloadavg()[0]
    lines = [
        "# Cost of one judged program",
        "",
        f"`python benchmarks/sandbox_cost.py {rounds}`: milliseconds a program, {rounds} each, one after another; "
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f} at the end.",
        "",
        "| way | least | median | 95 % |",
        "|---|---|---|---|",
    ]
    for name, taken in times.items():
        taken.sort()
        lines.append(f"| {name} | {taken[0]:.2f} | {median(taken):.2f} | {taken[int(0.95 * len(taken))]:.2f} |")
    print("\n".join(lines))
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
