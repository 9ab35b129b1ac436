"""Whether this machine has the memory for further processes."""

from __future__ import annotations

from pathlib import Path

#: Bytes that a process takes besides the model: libraries, caches, logits.
BESIDE_WEIGHTS = 1.2 * 2**30
#: Bytes that are left to everything else.
RESERVE = 2 * 2**30
#: A process holds the model as it was loaded, and its weights rearranged.
COPIES = 2
_MEMINFO, _CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def available_bytes() -> float:
    """Memory that processes can take now; infinite where this machine does not say."""
    found = float("inf")
    try:
        lines = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
        found = int(lines["MemAvailable"].split()[0]) * 1024
        limit = int((_CGROUP / "memory.max").read_text())  # "max" where there is none
        found = min(found, limit - int((_CGROUP / "memory.current").read_text()))
    except (OSError, KeyError, ValueError):
        pass
    return found


def processes_that_fit(weight_bytes: int, wanted: int) -> int:
    """Of `wanted` further ones that each hold a model of so many bytes."""
    each = COPIES * weight_bytes + BESIDE_WEIGHTS
    room = (available_bytes() - RESERVE) / each
    return wanted if room >= wanted else max(0, int(room))
