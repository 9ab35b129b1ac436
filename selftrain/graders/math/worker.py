"""math-verify behind a wall: in a process of its own, killed when it takes too long.

A comparison may hang, eat all memory or crash, and off the main thread math-verify has no time limit at all. So it
never runs in this process. What costs the worker its life is the *answer's* fault once the gold has been read, unless
somebody else killed it: then the question is asked again, and in the end left without a verdict. So it is left, too,
where the machine is so busy that the worker hardly ran.
"""

from __future__ import annotations

import threading
from functools import lru_cache

from selftrain.graders.math.worker_process import DiedError, Keeper

#: So often may a worker be killed from outside over one question before the question is given up.
_PATIENCE = 10


class MathWorker:
    """Asks math-verify. Safe to use from several threads; one question is asked at a time.

    Replies are remembered: the last 65,536 of each kind.

    Args:
        wall_limit: seconds for one question.
    """

    def __init__(self, wall_limit: float = 1.0) -> None:
        self.wall_limit = wall_limit
        self._lock = threading.Lock()
        self._keeper = Keeper(wall_limit)
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

    def alone(self, gold: str, text: str) -> bool:
        """What math-verify says of a whole completion by itself, without any rule of ours.

        Raises:
            OSError: it cannot be started, or is killed from outside time and again.
        """
        try:
            return self._ask({"gold": gold, "text": text})
        except (TimeoutError, EOFError):
            return False

    def start(self) -> None:
        """Has the process running, so that no question has to wait for it. A failure shows when one is asked."""
        with self._lock:
            self._keeper.start()

    def close(self) -> None:
        with self._lock:
            self._keeper.stop()

    def _ask(self, request: dict[str, str]) -> bool:
        """One question, and once more of a new process if the first one died: that may have had another reason.

        Raises:
            TimeoutError: no reply in time. EOFError: the worker died, twice.
            OSError: it cannot be started, or somebody kills it whenever it is asked.
        """
        faults = killed = 0
        with self._lock:
            while True:
                try:
                    return self._keeper.ask(request)
                except DiedError as death:
                    faults += not death.from_outside
                    killed += death.from_outside
                if faults == 2:
                    raise EOFError
                if killed == _PATIENCE:
                    raise OSError(f"math-verify was killed {killed} times from outside while it compared this")
