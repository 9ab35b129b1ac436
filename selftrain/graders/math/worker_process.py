"""The process that `math_worker` asks: how it is started, asked, timed, killed and replaced.

It is a keeper with a child, see `compare_process`. Questions are numbered, so that no late reply is taken for the next.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

_PROGRAM = Path(__file__).with_name("compare_process.py")
#: Seconds that a start may take: it imports sympy, perhaps on a busy machine.
_START_LIMIT = 120.0
#: Seconds that the keeper has for a new child before it is replaced itself.
_NEXT_CHILD_LIMIT = 0.5
#: So many times its limit may a question wait, where others use the processor.
_BUSY = 1.8
#: Signals of a mishap in the process itself; any other comes from outside (an administrator, a system short of memory).
_OWN_FAULT = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGALRM}


class DiedError(Exception):
    """It died over a question: of itself, or killed from outside."""

    def __init__(self, code: int) -> None:
        self.from_outside = code < 0 and -code not in _OWN_FAULT


class BusyError(OSError):
    """The machine is so busy that the process hardly ran."""


class Keeper:
    """One process that answers, with all that may happen to it. Not to be used from two threads at a time.

    Args:
        wall_limit: seconds for one question.
    """

    def __init__(self, wall_limit: float) -> None:
        self.wall_limit = wall_limit
        self.process: subprocess.Popen[bytes] | None = None
        self._complaints: IO[bytes] | None = None
        self._cannot_start = ""
        self._asked = self._child = 0
        self._unread = b""

    def start(self) -> None:
        """Has it running. A failure shows when it is asked."""
        with contextlib.suppress(OSError, DiedError):
            if self.process is None:
                self._start()

    def ask(self, request: dict[str, str]) -> bool:
        """
        Raises:
            TimeoutError: no reply in time; the child is replaced. DiedError: no reply any more.
            BusyError: it hardly ran. OSError: it cannot be started.
        """
        if self.process is None:
            self._start()
        self._asked += 1
        try:
            self._write(json.dumps({"n": self._asked, **request}).encode() + b"\n")
            return self._await_reply()
        except (TimeoutError, BusyError):
            self._replace_child()
            raise
        except EOFError:
            raise DiedError(self._ended_with()) from None
        except DiedError:
            raise
        except BaseException:  # ctrl-C, above all
            self.stop()
            raise

    def _await_reply(self) -> bool:
        began, (before, _) = time.monotonic(), self._processor()
        deadline, last = began + self.wall_limit, began + _BUSY * self.wall_limit
        while True:
            try:
                reply = self._read(deadline)
            except TimeoutError:
                used, wants_more = self._processor()
                missing = 1 - (used - before) / self.wall_limit
                if not wants_more or missing < 0.1 or (deadline == last and missing < 0.5):
                    raise
                if deadline == last:
                    raise BusyError("the machine is too busy to compare this") from None
                deadline = min(last, time.monotonic() + missing * self.wall_limit)
                continue
            # A reply to an earlier question can come late; its number tells.
            if reply.get("n") == self._asked:
                return bool(reply["ok"])
            if "died" in reply:
                raise DiedError(reply["died"])

    def _processor(self) -> tuple[float, bool]:
        """The seconds that the child has computed, and whether it wants to go on; (0, no) where none can tell."""
        try:
            state, *fields = Path(f"/proc/{self._child}/stat").read_text().rpartition(")")[2].split()
            return sum(map(int, fields[10:12])) / os.sysconf("SC_CLK_TCK"), state in "RD"
        except (OSError, ValueError):
            return 0.0, False

    def _replace_child(self) -> None:
        """Has the keeper kill the child that hangs and fork another; failing that, ends them both."""
        assert self.process is not None
        try:
            os.kill(self.process.pid, signal.SIGUSR1)  # not send_signal: it would bury a keeper before its child
            deadline = time.monotonic() + _NEXT_CHILD_LIMIT
            while "ready" not in self._read(deadline):
                pass
        except (TimeoutError, EOFError, OSError):
            self.stop()

    def _start(self) -> None:
        if self._cannot_start:
            raise OSError(self._cannot_start)
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._unread = b""
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(_PROGRAM), f"{2 * self.wall_limit + 5:g}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            bufsize=0,
            start_new_session=True,  # ctrl-C is for the run, which then closes its worker
        )
        try:
            while "ready" not in self._read(time.monotonic() + _START_LIMIT):
                pass
        except (EOFError, TimeoutError) as error:
            self._complaints.seek(0)
            last_words = self._complaints.read()[-500:].decode(errors="replace").strip()
            death = DiedError(self._ended_with() if isinstance(error, EOFError) else 0)
            if death.from_outside:
                raise death from None
            self._cannot_start = f"math-verify cannot be started ({type(error).__name__}): {last_words}"
            raise OSError(self._cannot_start) from error
        except BaseException:
            self.stop()
            raise

    def _write(self, line: bytes) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line)
        except BrokenPipeError as error:
            raise EOFError from error

    def _read(self, deadline: float) -> dict[str, Any]:
        """The next line that the process says."""
        assert self.process is not None
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError
                piece = os.read(self.process.stdout.fileno(), 4096)
                if not piece:
                    raise EOFError
                self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        self._child = reply.get("ready", self._child)
        return reply

    def _ended_with(self) -> int:
        """How a process ended that has closed its output: its exit code, or minus a signal."""
        assert self.process is not None
        code = 0
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self.process.wait(0.5)
        self.stop()
        return code

    def stop(self) -> None:
        """Ends keeper and child."""
        if self.process is not None:
            if self.process.returncode is None:
                with contextlib.suppress(OSError):
                    os.killpg(self.process.pid, signal.SIGKILL)  # the keeper and its child
            self.process.communicate()
            self.process = None
        if self._complaints is not None:
            self._complaints.close()
            self._complaints = None
