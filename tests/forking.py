"""A process that has imported everything and forks for each order, so that a death costs a moment and no imports.

Orders come in as lines of JSON, and what became of them goes out.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Ended:
    """A process that obeyed: Ended(code=66, seconds=0.08, memory=31_000_000)"""

    #: Negative where a signal ended it.
    code: int
    #: Of processor time, which does not depend on what else the machine does.
    seconds: float
    #: Bytes at its peak, beyond those of the process it was forked from.
    memory: int


class Forking:
    """The tests' end.

    Args:
        module: what the process runs; it ends in `serve`.
    """

    def __init__(self, module: str) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT, env=environment,
        )  # fmt: skip

    def order(self, order: Mapping[str, Any]) -> Ended:
        assert self._process.stdin and self._process.stdout
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return Ended(**json.loads(self._process.stdout.readline()))

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def serve(obey: Callable[[Mapping[str, Any]], int]) -> None:
    """The other end: each order is obeyed in a child, in a session of its own, of which nothing is left."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.setsid()
            # Only what became of it goes out.
            sys.stdout = sys.stderr
            os._exit(obey(json.loads(line)) & 0xFF)
        _, status, used = os.wait4(child, 0)
        with contextlib.suppress(OSError):
            os.killpg(child, signal.SIGKILL)
        told = {
            "code": os.waitstatus_to_exitcode(status),
            "seconds": used.ru_utime + used.ru_stime,
            "memory": max(0, (used.ru_maxrss << 10) - before),
        }
        print(json.dumps(told), flush=True)
