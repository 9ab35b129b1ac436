"""The most memory that a run has held, as the operating system counts it."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

_PROCESSES = Path("/proc")


def peak_memory(device: str = "cpu") -> float:
    """Bytes: the sum of the peaks of this process and of those it has started and that still run; of a GPU what torch
    has held on it at most.
    """
    if device.startswith("cuda"):
        import torch

        return float(torch.cuda.max_memory_allocated(device))
    own = 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return own + sum(peak_of(process) for process in _descendants(os.getpid()))


def _descendants(process: int) -> Iterator[int]:
    """None where the system does not tell. Processes and threads may end while they are looked at."""
    tasks = _PROCESSES / str(process) / "task"
    try:
        threads = os.listdir(tasks)  # noqa: PTH208 - pathlib fails on what ends meanwhile
    except OSError:
        return
    for thread in threads:
        try:
            children = [int(child) for child in (tasks / thread / "children").read_text().split()]
        except OSError:
            continue
        for child in children:
            yield child
            yield from _descendants(child)


def peak_of(process: int) -> float:
    """Bytes; 0 where the process has ended."""
    try:
        lines = (_PROCESSES / str(process) / "status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0.0)
