"""math-verify in a process of its own, which is killed if it takes too long.

A comparison may hang, use up all memory or crash, and off the main thread math-verify has no time limit at all. Once
the gold has been read, a crash or timeout counts against the *answer*, with two exceptions: if the process was killed
from outside, the request is repeated, and given up unjudged in the end; if the machine was so busy, or the process
stopped for so long, that it did not get its processor time, it is unjudged, too.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path

from selftrain.graders.math.worker_process import PROGRAM, ProcessDiedError, WorkerProcess

#: Kills from outside during one request before it is given up.
_MAX_KILLS = 10


class MathWorker:
    """Runs math-verify. Thread-safe; one request at a time. Caches the last 65,536 results of each kind.

    Args:
        limit: processor seconds for one request.
        program: the Python file to run, which speaks the protocol of compare_process.py.
    """

    def __init__(self, limit: float = 1.0, program: Path = PROGRAM) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._process = WorkerProcess(limit, program)
        # Failures are raised, and so are not cached.
        self.why_unreadable = lru_cache(maxsize=1 << 16)(self._why_unreadable)
        self.compare = lru_cache(maxsize=1 << 16)(self._compare)

    def _why_unreadable(self, gold: str) -> str:
        """Why this gold cannot be read; "" if it can."""
        try:
            return "" if self._request({"gold": gold}) else "math-verify makes nothing of it"
        except TimeoutError:
            return f"it takes longer than {self.limit:g} s to read and compare"
        except EOFError:
            return "math-verify dies of it"

    def _compare(self, gold: str, answer: str) -> tuple[bool, str]:
        """Whether an answer equals a readable gold, and the reason."""
        try:
            equal = self._request({"gold": gold, "answer": answer})
        except TimeoutError:
            return False, f"took longer than {self.limit:g} s to compare"
        except EOFError:
            return False, "math-verify died comparing it"
        return equal, "equal by math-verify" if equal else "not equal by math-verify"

    def math_verify_alone(self, gold: str, completion: str) -> bool:
        """The verdict of math-verify by itself, without any rule of ours.

        Raises OSError if it cannot be started, or is repeatedly killed from outside.
        """
        try:
            return self._request({"gold": gold, "text": completion})
        except (TimeoutError, EOFError):
            return False

    @property
    def supervisor_pid(self) -> int | None:
        """The running process, or None."""
        return self._process.pid

    def start(self) -> None:
        """Starts the process, so that no request has to wait for it. A failure shows in the first request."""
        with self._lock:
            self._process.start()

    def close(self) -> None:
        with self._lock:
            self._process.stop()

    def _request(self, request: dict[str, str]) -> bool:
        """One request, repeated once in a new process if the first one died, which may have had another reason.

        Raises:
            TimeoutError: no reply in time.
            EOFError: the process died twice.
            OSError: it cannot be started, or is killed from outside at every attempt.
        """
        crashes = kills = 0
        with self._lock:
            while True:
                try:
                    return self._process.request(request)
                except ProcessDiedError as death:
                    crashes += not death.from_outside
                    kills += death.from_outside
                if crashes == 2:
                    raise EOFError
                if kills == _MAX_KILLS:
                    raise OSError(f"math-verify was killed {kills} times from outside while it compared this")
