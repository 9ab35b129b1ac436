"""math-verify behind a wall: in a process of its own, killed when it takes too long.

A comparison may hang, eat all memory or crash, and off the main thread math-verify has no time limit at all. So it
never runs in this process. What costs the worker its life is the *answer's* fault once the gold has been read.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import IO

_PROGRAM = Path(__file__).with_name("compare_process.py")
#: Seconds that a start may take: it imports sympy, perhaps on a busy machine.
_START_LIMIT = 120.0


class MathWorker:
    """Asks math-verify. Safe to use from several threads; one question is asked at a time.

    Args:
        wall_limit: seconds for one question.
    """

    def __init__(self, wall_limit: float = 1.0) -> None:
        self.wall_limit = wall_limit
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints: IO[bytes] | None = None
        self._cannot_start = ""
        # Failures are raised, and what is raised is not remembered.
        self.gold_trouble = lru_cache(maxsize=1 << 16)(self._gold_trouble)
        self.compare = lru_cache(maxsize=1 << 16)(self._compare)

    def _gold_trouble(self, gold: str) -> str:
        """Why this gold cannot be read; "" where it can."""
        try:
            return "" if self._ask({"gold": gold}) else "math-verify makes nothing of it"
        except TimeoutError:
            return f"it takes longer than {self.wall_limit:g} s to read and compare"
        except EOFError:
            return "math-verify dies of it"

    def _compare(self, gold: str, answer: str) -> tuple[bool, str]:
        """Whether an answer equals a gold that can be read, and why."""
        try:
            equal = self._ask({"gold": gold, "answer": answer})
        except TimeoutError:
            return False, f"took longer than {self.wall_limit:g} s to compare"
        except EOFError:
            return False, "math-verify died comparing it"
        return equal, "equal by math-verify" if equal else "not equal by math-verify"

    def close(self) -> None:
        with self._lock:
            self._stop()

    def _ask(self, request: dict[str, str]) -> bool:
        """One question, and once more in a new process if the first one died: that may have had another reason.

        Raises:
            TimeoutError: no reply in time. EOFError: the worker died, twice. OSError: it cannot be started.
        """
        with self._lock:
            try:
                return self._ask_once(request)
            except EOFError:
                return self._ask_once(request)

    def _ask_once(self, request: dict[str, str]) -> bool:
        if self._process is None:
            self._start()
        try:
            return self._exchange(json.dumps(request).encode() + b"\n", self.wall_limit)
        except BaseException:
            # Also on ctrl-C: a reply that comes later must not be taken for that of the next question.
            self._stop()
            raise

    def _start(self) -> None:
        if self._cannot_start:
            raise OSError(self._cannot_start)
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            bufsize=0,
            start_new_session=True,  # ctrl-C is for the run, which then closes its worker
        )
        try:
            self._exchange(b"", _START_LIMIT)
        except (EOFError, TimeoutError) as error:
            self._complaints.seek(0)
            last_words = self._complaints.read()[-500:].decode(errors="replace").strip()
            self._cannot_start = f"math-verify cannot be started ({type(error).__name__}): {last_words}"
            self._stop()
            raise OSError(self._cannot_start) from error

    def _exchange(self, line: bytes, limit: float) -> bool:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(line)
        except BrokenPipeError as error:
            raise EOFError from error
        deadline = time.monotonic() + limit
        reply = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not reply.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError
                piece = os.read(self._process.stdout.fileno(), 4096)
                if not piece:
                    raise EOFError
                reply += piece
        return bool(json.loads(reply)["ok"])

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
        if self._complaints is not None:
            self._complaints.close()
            self._complaints = None
