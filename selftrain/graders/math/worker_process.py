"""The driver's end of the math-verify process: start it, send requests, keep the time limit, kill and replace.

The program is compare_process.py: a supervisor that forks one child to do the work. Requests are numbered, so that a
late reply is never taken for the next one.
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

PROGRAM = Path(__file__).with_name("compare_process.py")
#: Seconds to start: it imports sympy, perhaps on a busy machine.
_START_LIMIT = 120.0
#: Seconds for the supervisor to fork a new child before it is replaced itself.
_NEXT_CHILD_LIMIT = 0.5
#: When a request is given up that has not had its processor time: seconds, or times its limit.
_LAST_DEADLINE, _BUSY_FACTOR = 30.0, 20.0
#: Signals of a crash; any other comes from outside (an administrator, a system out of memory).
_CRASH_SIGNALS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGPROF}


class ProcessDiedError(Exception):
    """It died during a request: crashed, or killed from outside."""

    def __init__(self, exit_code: int) -> None:
        self.from_outside = exit_code < 0 and -exit_code not in _CRASH_SIGNALS


class BusyError(OSError):
    """The process had not the processor time that a request may take, however long it was waited for."""


class WorkerProcess:
    """One math-verify process and all that may happen to it. Not thread-safe.

    Args:
        limit: processor seconds for one request.
    """

    def __init__(self, limit: float, program: Path) -> None:
        self.limit, self._program = limit, program
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None
        self._cannot_start = ""
        self._number = self._child = 0
        self._unread = b""

    @property
    def pid(self) -> int | None:
        process = self._process
        return None if process is None else process.pid

    def start(self) -> None:
        """Starts it if it is not running. A failure shows in the first request."""
        with contextlib.suppress(OSError, ProcessDiedError):
            if self._process is None:
                self._start()

    def request(self, request: dict[str, str]) -> bool:
        """
        Raises:
            TimeoutError: no reply within its processor time; the child is replaced.
            ProcessDiedError: no reply any more.
            BusyError: the child had no processor for so long that nobody can wait for it.
            OSError: the process cannot be started.
        """
        if self._process is None:
            self._start()
        self._number += 1
        try:
            self._write(json.dumps({"n": self._number, **request}).encode() + b"\n")
            return self._await_reply()
        except (TimeoutError, BusyError):
            self._replace_child()
            raise
        except EOFError:
            raise ProcessDiedError(self._exit_code()) from None
        except ProcessDiedError:
            raise
        except BaseException:  # ctrl-C, above all
            self.stop()
            raise

    def _await_reply(self) -> bool:
        """Its limit is processor time: what other programs on the machine do costs no answer its verdict."""
        start, cpu_before = time.monotonic(), self._child_cpu()
        deadline, last_deadline = start + self.limit, start + max(_LAST_DEADLINE, _BUSY_FACTOR * self.limit)
        while True:
            try:
                reply = self._read(deadline)
            except TimeoutError:
                missing = self.limit - (self._child_cpu() - cpu_before)
                if missing <= 0:
                    raise
                if deadline >= last_deadline:
                    raise BusyError("the machine is too busy to compare this") from None
                deadline = min(last_deadline, time.monotonic() + max(missing, 0.01))
                continue
            if reply.get("n") == self._number:
                return bool(reply["ok"])
            if "died" in reply:
                raise ProcessDiedError(reply["died"])

    def _child_cpu(self) -> float:
        """The child's processor seconds; 0 if that cannot be read."""
        try:
            fields = Path(f"/proc/{self._child}/stat").read_text().rpartition(")")[2].split()
            return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError):
            return 0.0

    def _replace_child(self) -> None:
        """Has the supervisor kill the child and fork another; if that fails, ends them both."""
        assert self._process is not None
        try:
            os.kill(self._process.pid, signal.SIGUSR1)  # not send_signal: it would reap a supervisor before its child
            deadline = time.monotonic() + _NEXT_CHILD_LIMIT
            while "ready" not in self._read(deadline):
                pass
        except (TimeoutError, EOFError, OSError):
            self.stop()

    def _start(self) -> None:
        if self._cannot_start:
            raise OSError(self._cannot_start)
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._unread = b""
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(self._program), f"{2 * self.limit + 5:g}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            bufsize=0,
            start_new_session=True,  # ctrl-C is for the run, which then closes its worker
        )
        try:
            while "ready" not in self._read(time.monotonic() + _START_LIMIT):
                pass
        except (EOFError, TimeoutError) as error:
            self._stderr.seek(0)
            last_words = self._stderr.read()[-500:].decode(errors="replace").strip()
            death = ProcessDiedError(self._exit_code() if isinstance(error, EOFError) else 0)
            self.stop()
            if death.from_outside:
                raise death from None
            self._cannot_start = f"math-verify cannot be started ({type(error).__name__}): {last_words}"
            raise OSError(self._cannot_start) from error
        except BaseException:
            self.stop()
            raise

    def _write(self, line: bytes) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
        except BrokenPipeError as error:
            raise EOFError from error

    def _read(self, deadline: float) -> dict[str, Any]:
        """The next line of output."""
        assert self._process is not None
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError
                part = os.read(self._process.stdout.fileno(), 4096)
                if not part:
                    raise EOFError
                self._unread += part
        line, _, self._unread = self._unread.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        self._child = reply.get("ready", self._child)
        return reply

    def _exit_code(self) -> int:
        """How a process that closed its output ended: its exit code, or minus a signal."""
        assert self._process is not None
        code = 0
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(0.5)
        self.stop()
        return code

    def stop(self) -> None:
        """Ends supervisor and child."""
        if self._process is not None:
            if self._process.returncode is None:
                with contextlib.suppress(OSError):
                    os.killpg(self._process.pid, signal.SIGKILL)  # the supervisor and its child
            self._process.communicate()
            self._process = None
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None
