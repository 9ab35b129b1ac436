"""One writer at a time: flock(2), which ends with its process, and a lease for file systems where flock does not reach.

Why not `filelock`: docs/decisions/0016.
"""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from selftrain.errors import RunError
from selftrain.storage.journal.disk import Disk, is_regular, read_bytes
from selftrain.storage.journal.layout import LOCK
from selftrain.storage.journal.lines import encode, split

#: A holder that flock cannot see (another host, or no flock) counts as dead when its lease was not renewed for so long.
LEASE_SECONDS = 60.0

#: Closed in forked children: an orphan of a dead process would otherwise hold its lock.
_descriptors: set[int] = set()


def _close_in_child() -> None:
    while _descriptors:
        os.close(_descriptors.pop())


os.register_at_fork(after_in_child=_close_in_child)


class LockedError(RunError):
    """Another process writes this run."""

    exit_code = 75


class Lock:
    """Held from construction to `release`.

    Raises:
        LockedError: another process holds it; the message names that process.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk, self._path = disk, disk.folder / LOCK
        self._descriptor = disk.open(self._path, os.O_RDWR | os.O_CREAT)
        try:
            if not is_regular(self._path):
                raise RunError(f"{self._path} is not a regular file", "it says who writes this run", "move it away")
            self._acquire()
        except BaseException:
            os.close(self._descriptor)
            raise
        _descriptors.add(self._descriptor)
        self._released = threading.Event()
        threading.Thread(target=self._renew, name="lease", daemon=True).start()

    def confirm(self) -> None:
        """
        Raises:
            LockedError: another process took the lock after our lease had expired, as on a machine that was suspended.
        """
        if read_bytes(self._path) != self._own:
            raise self._refusal("took this run over: this process had not renewed its lease")

    def release(self) -> None:
        if self._released.is_set():
            return
        self._released.set()
        with suppress(OSError, RunError):
            self.confirm()
            os.ftruncate(self._descriptor, 0)
        _descriptors.discard(self._descriptor)
        os.close(self._descriptor)

    def _acquire(self) -> None:
        machine = {"host": socket.gethostname(), "boot": _boot_id()}
        locked = self._flock()
        holder = self._holder()
        # flock proves that a holder on this machine is dead. It proves nothing about one on another host.
        is_dead = locked and machine.items() <= (holder or machine).items()
        left = LEASE_SECONDS - (time.time() - os.fstat(self._descriptor).st_mtime)
        if holder is not None and not is_dead and left > 0:
            raise self._refusal(f"holds a lease on this run for another {left:.0f} s")
        since = datetime.now(UTC).isoformat(timespec="seconds")
        self._own = encode({"pid": os.getpid(), **machine, "since": since})
        self._disk.call(self._path, os.ftruncate, self._descriptor, 0)
        self._disk.write(self._descriptor, self._path, self._own)

    def _flock(self) -> bool:
        """False on a file system without flock."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._refusal("writes this run") from None
        except OSError:
            return False
        return True

    def _holder(self) -> dict[str, Any] | None:
        """None if the file names nobody, or a kill cut the line short."""
        lines = split(os.pread(self._descriptor, 1 << 12, 0))
        return lines[0].value if lines and isinstance(lines[0].value, dict) else None

    def _refusal(self, what: str) -> LockedError:
        holder = self._holder() or {}
        name = f"process {holder.get('pid', '?')} on {holder.get('host', '?')}, since {holder.get('since', '?')},"
        return LockedError(
            f"{self._disk.folder}: {name} {what}",
            "a run has one writer at a time",
            "wait until it ends, or stop it",
        )

    def _renew(self) -> None:
        while not self._released.wait(LEASE_SECONDS / 4):
            with suppress(OSError):
                os.utime(self._path)


def _boot_id() -> str:
    """Changes each time the machine starts."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return ""
