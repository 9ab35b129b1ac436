"""The driver's end of a supervisor: start it, submit a job, wait with a deadline, kill."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selftrain.sandbox.inside.protocol import KILL
from selftrain.sandbox.jobs import Limits

_BOOT = Path(__file__).parent / "inside" / "boot.py"
_START_SECONDS = 20.0
#: Seconds for a killed program to be gone (a full address space has to be freed).
GRACE_SECONDS = 0.35
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


class Supervisor:
    """One clean interpreter that forks a child for each job. Not thread-safe.

    The driver may hold secrets, so the interpreter is started by exec with an environment of its own, no descriptor but
    its control socket, and only the settings below.

    Args:
        uid: the user that children become, where we are root.
        no_filter: leaves out seccomp, so that the self-test sees whether landlock holds by itself.
    """

    def __init__(self, tier: int, profile: str, uid: int, no_filter: bool = False) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control, self.jobs = ours, 0
        settings = {"tier": tier, "profile": profile, "uid": uid, "control": theirs.fileno(), "no_filter": no_filter}
        self.process = subprocess.Popen(
            # Not -I, which would ignore the hash seed; the environment is our own anyway.
            [sys.executable, "-s", "-S", "-P", "-B", "-X", "utf8", str(_BOOT), json.dumps(settings)],
            env=_ENVIRONMENT,
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        theirs.close()

    def await_ready(self) -> None:
        """Raises SupervisorDiedError if it could not set itself up, with its reason."""
        reply = self._receive(time.monotonic() + _START_SECONDS)
        if reply is None:
            raise SupervisorDiedError("the supervisor did not start in time")
        if "failed" in reply:
            raise SupervisorDiedError(str(reply["failed"]))

    def submit(self, kind: str, limits: Limits, descriptors: Sequence[int]) -> None:
        order = json.dumps({"kind": kind, "limits": asdict(limits)}).encode()
        try:
            socket.send_fds(self._control, [order], list(descriptors))
        except OSError as error:
            raise SupervisorDiedError(f"the supervisor is gone: {error}") from None
        self.jobs += 1

    def wait(self, deadline: float) -> Ended | None:
        """How the child ended; None if it still runs at `deadline` (of time.monotonic)."""
        reply = self._receive(deadline)
        if reply is None:
            return None
        if not reply["locked_in"]:
            raise SupervisorDiedError("the child could not be locked in")
        return Ended(reply["status"], reply["cpu"])

    def kill(self) -> Ended | None:
        """Kills the child and waits; None if it does not end, and then the supervisor has to be stopped."""
        with contextlib.suppress(OSError):
            self._control.send(KILL)
        return self.wait(time.monotonic() + GRACE_SECONDS)

    def stop(self) -> None:
        """Kills the supervisor, and its child with it."""
        self._control.close()
        self.process.kill()
        self.process.wait()

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


def memory_file(content: bytes = b"") -> int:
    """A descriptor of an anonymous file in memory: unlike a pipe, it needs no reader while the program runs."""
    descriptor = os.memfd_create("job", os.MFD_CLOEXEC)
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
