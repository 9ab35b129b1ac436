"""A way in another process, perhaps of another environment, that takes turns with those in this one."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.turns import Spent, WayError

ROOT = Path(__file__).parents[2]


class Peer:
    """Runs a module that calls `serve`. Its pinning to a core is that of this process.

    Args:
        work: what it is to do, as JSON.
        python: of the environment that has its library.

    Raises:
        WayError: it did not get ready.
    """

    def __init__(self, module: str, work: Mapping[str, Any], python: str = sys.executable) -> None:
        # What it has to say goes to a file, to be shown only where it fails.
        self._words = tempfile.TemporaryFile("w+")  # noqa: SIM115, closed by `close`
        self._process = subprocess.Popen(
            [python, "-m", module], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._words,
        )  # fmt: skip
        facts = self._ask(json.dumps(work))
        self.version, self.seconds = str(facts["version"]), float(facts["seconds"])

    def turn(self) -> Spent:
        return Spent(**self._ask("again"))

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._words.close()

    def _ask(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):  # its last words say why
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            self._words.seek(0)
            last = ([line.strip() for line in self._words if line.strip()] or ["no word"])[-1]
            raise WayError(f"failed: {last[:160]}")
        found: dict[str, Any] = json.loads(answer)
        return found
