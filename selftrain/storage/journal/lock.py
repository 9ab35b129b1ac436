"""One writer at a time. The kernel's lock ends with its holder; where there is none, a lease does."""

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
from selftrain.storage.journal.disk import Disk, read_bytes
from selftrain.storage.journal.layout import LOCK
from selftrain.storage.journal.lines import encode, split

#: A holder out of our kernel's sight counts as dead when it has not renewed its lease for so long.
LEASE_SECONDS = 60.0

#: Children forked from this process must not keep its locks: an orphan would hold one for ever.
_held: set[int] = set()


def _let_go() -> None:
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go)


class HeldError(RunError):
    """Another process writes this run."""

    exit_code = 75


class Lock:
    """Held from creation to release.

    Raises:
        HeldError: by another process, which the message names.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk, self._path = disk, disk.folder / LOCK
        self._descriptor = disk.open(self._path, os.O_RDWR | os.O_CREAT)
        try:
            self._take()
        except BaseException:
            os.close(self._descriptor)
            raise
        _held.add(self._descriptor)
        self._released = threading.Event()
        threading.Thread(target=self._renew, name="lease", daemon=True).start()

    def confirm(self) -> None:
        """Raises HeldError where our lease ran out, as in a machine that was asleep, and somebody took the run over."""
        if read_bytes(self._path) != self._ours:
            raise self._refusal("took this run over: this process had not renewed its lease")

    def release(self) -> None:
        if self._released.is_set():
            return
        self._released.set()
        with suppress(OSError, RunError):
            self.confirm()
            os.ftruncate(self._descriptor, 0)
        _held.discard(self._descriptor)
        os.close(self._descriptor)

    def _take(self) -> None:
        machine = {"host": socket.gethostname(), "boot": _boot()}
        locked = self._kernel_lock()
        holder = self._holder()
        # A lock we were given over a holder on this very machine shows that it is dead. Elsewhere locks may not reach.
        seen_dead = locked and machine.items() <= (holder or machine).items()
        left = LEASE_SECONDS - (time.time() - os.fstat(self._descriptor).st_mtime)
        if holder is not None and not seen_dead and left > 0:
            raise self._refusal(f"holds a lease on this run for another {left:.0f} s")
        since = datetime.now(UTC).isoformat(timespec="seconds")
        self._ours = encode({"pid": os.getpid(), **machine, "since": since})
        self._disk.do(self._path, os.ftruncate, self._descriptor, 0)
        self._disk.write(self._descriptor, self._path, self._ours)

    def _kernel_lock(self) -> bool:
        """Whether the kernel gave us the lock; not on a file system that has none."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._refusal("writes this run") from None
        except OSError:
            return False
        return True

    def _holder(self) -> dict[str, Any] | None:
        """None where nobody is named, or where a kill cut the name short."""
        lines = split(os.pread(self._descriptor, 1 << 12, 0))
        return lines[0].value if lines and isinstance(lines[0].value, dict) else None

    def _refusal(self, what: str) -> HeldError:
        holder = self._holder() or {}
        name = f"process {holder.get('pid', '?')} on {holder.get('host', '?')}, since {holder.get('since', '?')},"
        return HeldError(
            f"{self._disk.folder}: {name} {what}",
            "two writers would spoil it",
            "wait until it ends, or stop it",
        )

    def _renew(self) -> None:
        while not self._released.wait(LEASE_SECONDS / 4):
            with suppress(OSError):
                os.utime(self._path)


def _boot() -> str:
    """Differs each time the machine starts."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return ""
