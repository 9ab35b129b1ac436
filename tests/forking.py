"""A process that has imported everything and forks for each order, so that a death costs a moment and no imports.

Orders come in as lines of JSON, exit codes go out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

_ROOT = Path(__file__).parents[1]


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

    def order(self, order: Mapping[str, Any]) -> int:
        """The exit code of the process that obeyed; negative where a signal ended it."""
        assert self._process.stdin and self._process.stdout
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def serve(obey: Callable[[Mapping[str, Any]], int]) -> None:
    """The other end: each order is obeyed in a child."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            # Only exit codes go out.
            sys.stdout = sys.stderr
            os._exit(obey(json.loads(line)))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
