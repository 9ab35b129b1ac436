"""The driver's end of a supervisor: start it, submit a job, wait with a deadline, kill."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selftrain.sandbox.inside.protocol import KILL
from selftrain.sandbox.jobs import Limits

_BOOT = Path(__file__).parent / "inside" / "boot.py"
_START_SECONDS = 20.0
#: Seconds for a killed program to be gone: a full address space has to be freed, perhaps on a busy machine.
GRACE_SECONDS = 5.0
#: The whole environment of a program. The fixed hash seed makes the order of sets, and so a verdict, repeatable.
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


class SupervisorDiedError(Exception):
    """It died, did not start, or could not lock a child in: our failure. The job can be tried again."""


@dataclass(frozen=True)
class Ended:
    """How a child ended."""

    #: As of `os.wait`.
    status: int
    #: Processor seconds.
    cpu: float


class Nursery:
    """A clean interpreter that has loaded the modules of programs, and forks supervisors. Thread-safe.

    The driver may hold secrets, so the interpreter is started by exec with an environment of its own and no descriptor
    but its control socket. It ends when the driver does.
    """

    def __init__(self, executable: str) -> None:
        self.executable = executable
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        settings = {"control": theirs.fileno()}
        with theirs:
            self._process = subprocess.Popen(
                # Not -I, which would ignore the hash seed; the environment is our own anyway.
                [executable, "-s", "-S", "-P", "-B", "-X", "utf8", str(_BOOT), json.dumps(settings)],
                env=_ENVIRONMENT,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )

    def start_supervisor(self, settings: Mapping[str, Any], control: int) -> None:
        try:
            socket.send_fds(self._control, [json.dumps(settings).encode()], [control])
        except OSError as error:
            raise SupervisorDiedError(f"the process that forks supervisors is gone: {error}") from None

    def works(self) -> bool:
        """Whether it is alive, and of the current interpreter."""
        return self.executable == sys.executable and self._process.poll() is None

    def close(self) -> None:
        self._control.close()
        self._process.wait()


def nursery() -> Nursery:
    """The one of this process; a new one if it has died."""
    global _nursery
    with _nursery_lock:
        if _nursery is None or not _nursery.works():
            if _nursery is not None:
                _nursery.close()
            _nursery = Nursery(sys.executable)
        return _nursery


_nursery: Nursery | None = None
_nursery_lock = threading.Lock()


class Supervisor:
    """A process that forks a child for each job. Not thread-safe.

    Args:
        uid: the user that children become, where we are root.
        no_filter: leaves out seccomp, so that the self-test sees whether landlock holds by itself.
        numpy: loads numpy, where it is installed. It makes a fork dearer, so only programs that name it pay for it.
    """

    def __init__(self, tier: int, profile: str, uid: int, *, no_filter: bool = False, numpy: bool = False) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control, self.jobs = ours, 0
        self.pid, self._pidfd = 0, -1
        #: The pid of the running child, once it has run for a moment; 0 before.
        self.child = 0
        self._ended: Ended | None = None
        settings: dict[str, Any] = {"tier": tier, "profile": profile, "uid": uid, "no_filter": no_filter}
        settings["numpy_folder"] = _numpy_folder() if numpy else None
        with theirs:
            nursery().start_supervisor(settings, theirs.fileno())

    def await_ready(self) -> None:
        """Raises SupervisorDiedError if it could not set itself up, with its reason."""
        deadline = time.monotonic() + _START_SECONDS
        while reply := self._receive(deadline):
            if "pid" in reply:
                self.pid = reply["pid"]
                self._pidfd = os.pidfd_open(self.pid)
            elif "failed" in reply:
                raise SupervisorDiedError(str(reply["failed"]))
            else:
                return
        raise SupervisorDiedError("the supervisor did not start in time")

    def submit(self, kind: str, limits: Limits, descriptors: Sequence[int]) -> None:
        order = json.dumps({"kind": kind, "limits": asdict(limits)}).encode()
        try:
            socket.send_fds(self._control, [order], list(descriptors))
        except OSError as error:
            raise SupervisorDiedError(f"the supervisor is gone: {error}") from None
        self.jobs += 1
        self.child, self._ended = 0, None

    def wait(self, deadline: float) -> Ended | None:
        """How the child ended; None if it still runs at `deadline` (of time.monotonic)."""
        while self._ended is None and (reply := self._receive(deadline)):
            if "child" in reply:
                self.child = reply["child"]
            elif not reply["locked_in"]:
                raise SupervisorDiedError("the child could not be locked in")
            else:
                self._ended = Ended(reply["status"], reply["cpu"])
        return self._ended

    def kill(self) -> Ended | None:
        """Kills the child and waits; None if it does not end, and then the supervisor has to be stopped."""
        if self._ended is None:
            with contextlib.suppress(OSError):
                self._control.send(KILL)
        return self.wait(time.monotonic() + GRACE_SECONDS)

    def stop(self) -> None:
        """Kills the supervisor, and its child with it."""
        self._control.close()  # it ends by that, too, if it has not told its pid yet
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            select.select([self._pidfd], [], [])  # until it has ended
            os.close(self._pidfd)
            self._pidfd = -1

    def _receive(self, deadline: float) -> dict[str, Any] | None:
        self._control.settimeout(max(deadline - time.monotonic(), 0.0001))
        try:
            message = self._control.recv(1 << 14)
        except TimeoutError:
            return None
        except OSError as error:
            raise SupervisorDiedError(f"the supervisor is gone: {error}") from None
        if not message:
            raise SupervisorDiedError("the supervisor is gone")
        reply: dict[str, Any] = json.loads(message)
        return reply


def _numpy_folder() -> str | None:
    found = importlib.util.find_spec("numpy")
    return None if found is None or found.origin is None else str(Path(found.origin).parents[1])


def memory_file(content: bytes = b"") -> int:
    """A descriptor of an anonymous file in memory: unlike a pipe, it needs no reader while the program runs."""
    descriptor = os.memfd_create("job", os.MFD_CLOEXEC)
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
