"""How long a job takes by its own doing, whatever else the machine has to do.

That is the processor time of its processes, and the time in which all of them sleep, which nobody but they decided.
Time in which one of them wants a processor that another program has, or in which it was stopped, does not count.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterable
from pathlib import Path

#: Seconds between two looks. Not always the same, so that no program can be awake just then.
_LONGEST, _SHORTEST = 0.05, 0.005
_CPUS = os.cpu_count() or 1


class OwnTime:
    """The own time of one job, which starts now."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._last = time.monotonic()
        self._cpu: dict[int, float] = {}

    def next_look(self, limit: float) -> float:
        """When to look again (of time.monotonic): before all processors together can have used up the limit."""
        left = (limit - self.seconds) / _CPUS
        return time.monotonic() + random.uniform(0.5, 1) * min(max(left, _SHORTEST), _LONGEST)

    def look(self, pids: Iterable[int]) -> None:
        """Adds the time since the last look, in which these were the job's processes."""
        pids = [*pids]
        now, used = time.monotonic(), 0.0
        for pid in pids:
            before = self._cpu.get(pid, 0.0)
            self._cpu[pid] = _processor_seconds(pid) or before
            used += self._cpu[pid] - before
        # Whoever looks late was kept from it himself, and knows nothing about the time between.
        unused = min(now - self._last, 2 * _LONGEST) - used
        self._last = now
        self.seconds += used
        if pids and unused > 0 and all(map(_sleeps, pids)):
            self.seconds += unused


def _processor_seconds(pid: int) -> float | None:
    try:
        return time.clock_gettime(~pid << 3 | 2)  # its clock, as clock_getcpuclockid() computes it
    except OSError:  # it has ended
        return None


def _sleeps(pid: int) -> bool:
    """Whether no thread of the process runs, wants to run, is stopped or waits for a disk; True if it has ended."""
    try:
        tasks = [Path(task.path, "stat").read_text() for task in os.scandir(f"/proc/{pid}/task")]
    except OSError:
        return True
    return all(task.rpartition(")")[2].split()[0] in "SZX" for task in tasks)
