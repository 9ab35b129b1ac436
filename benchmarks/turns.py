"""Ways to do the same work, taking turns, A B C A B C: what else the machine does then falls on all of them alike.

Rates are useful work a second of processor time, medians over turns after one that warms up; ratios are taken within a
turn. Beside each rate stands the share of wall-clock time that the processor worked for it: 1 is an idle machine.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from statistics import median

import torch

PACKAGES = ("torch", "transformers", "trl", "accelerate", "ctranslate2", "math-verify")


class WayError(Exception):
    """A way could not do its work; the message says why. The others go on."""


@dataclass(frozen=True)
class Spent:
    """One turn of one way: Spent(work=20480, cpu=3.1, wall=3.2), of `work` useful tokens, or whatever is counted."""

    work: float
    #: Seconds of processor time, of all threads, and of wall-clock time.
    cpu: float
    wall: float


@dataclass(frozen=True)
class Way:
    """One way to do the work. `missing` says why it cannot be tried here, for example "not installed"."""

    name: str
    turn: Callable[[], Spent] | None
    missing: str = ""


def timed(work: Callable[[], float]) -> Spent:
    """`work` gives back how much useful work it did."""
    wall, cpu = time.perf_counter(), time.process_time()
    done = work()
    return Spent(done, time.process_time() - cpu, time.perf_counter() - wall)


def here(name: str, work: Callable[[], float]) -> Way:
    """A way in this process."""
    return Way(name, lambda: timed(work))


@dataclass(frozen=True)
class Taken:
    """The turns of one way; empty where it could not do its work."""

    name: str
    turns: Sequence[Spent]
    missing: str = ""

    def rates(self, *, of_wall: bool = False) -> list[float]:
        return [one.work / (one.wall if of_wall else one.cpu) for one in self.turns]

    @property
    def rate(self) -> float:
        """Work a second of processor time."""
        return median(self.rates())

    @property
    def cpu_share(self) -> float:
        return median(one.cpu / one.wall for one in self.turns)

    @property
    def work(self) -> float:
        """Of one turn."""
        return median(one.work for one in self.turns)


def take_turns(ways: Iterable[Way], repeats: int, *, warm_up: bool = True) -> dict[str, Taken]:
    """One turn of each that does not count, where they are to `warm_up`, then `repeats` of each."""
    ways = list(ways)
    turns: dict[str, list[Spent]] = {way.name: [] for way in ways}
    missing = {way.name: way.missing for way in ways}
    for number in range(0 if warm_up else 1, repeats + 1):
        for way in ways:
            if way.turn is None or missing[way.name]:
                continue
            try:
                spent = way.turn()
            except WayError as error:
                missing[way.name] = str(error)
                turns[way.name].clear()
                continue
            if number:
                turns[way.name].append(spent)
            print(f"turn {number} of {repeats}: {way.name}, {spent.wall:.1f} s", file=sys.stderr, flush=True)
    return {name: Taken(name, turns[name], missing[name]) for name in turns}


def times(one: Taken, other: Taken, *, of_wall: bool = False) -> list[float]:
    """How many times as fast `one` was, in each turn."""
    return [a / b for a, b in zip(one.rates(of_wall=of_wall), other.rates(of_wall=of_wall), strict=True)]


def fastest(taken: Iterable[Taken]) -> Taken:
    return max((one for one in taken if one.turns), key=lambda one: one.rate)


def rows(label: str, taken: Mapping[str, Taken], ours: str) -> dict[str, list[str]]:
    """Cells by way: label, name, work a second of processor time, how many times as fast ours is, processor's share."""
    return {name: [label, name, *_figures(one, taken[ours])] for name, one in taken.items()}


def _figures(one: Taken, ours: Taken) -> list[str]:
    if not one.turns:
        return [one.missing, "", ""]
    ratios = times(ours, one)
    ratio = "" if one is ours else f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return [f"{one.rate:,.0f}", ratio, f"{one.cpu_share:.2f}"]


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *lines))


# -- the machine


def one_core() -> None:
    """This process and those it starts keep to one core and one thread."""
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def peak() -> float:
    """float32 GFLOP/s of the largest of some matrix products."""
    found = 0.0
    for m, k, n in ((256, 256, 768), (512, 512, 2048), (1024, 1024, 1024)):
        a, b = torch.randn(m, k), torch.randn(k, n)
        for _ in range(60):
            began = time.perf_counter()
            torch.mm(a, b)
            found = max(found, 2e-9 * m * k * n / (time.perf_counter() - began))
    return found


def machine(*further: str) -> str:
    """The line above every table: processor, its measured peak, versions, load. `further` versions go along."""
    versions = []
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions.append(f"{package} {metadata.version(package)}")
    processor = f"{_processor()}, {torch.backends.cpu.get_cpu_capability()}, {os.cpu_count()} cores"
    return (
        f"{time.strftime('%Y-%m-%d')}; {processor}; "
        f"{torch.get_num_threads()} thread of torch, float32 peak {peak():.0f} GFLOP/s, load {os.getloadavg()[0]:.1f}; "
        f"{', '.join([f'python {platform.python_version()}', *versions, *further])}"
    )


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
