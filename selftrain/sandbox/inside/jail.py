"""The jail that a supervisor builds once and each child locks itself in, in an order that leaves no gap."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import random
import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from resource import setrlimit  # the real one: programs get a stand-in
from typing import Any

from selftrain.sandbox.inside import kernel, namespaces, seccomp_filter, stand_ins

#: Landlock's rights: execute, write file, read file, read folder, create and remove entries.
_READ, _EXECUTE = 0b1100, 0b1
_WRITE = 0b1110 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 13 | 1 << 14
_DEVICE = 0b110

#: A program's open descriptors, threads and processes, and bytes of one scratch file.
_CAPACITY = {"pure": (16, 64, 0), "files": (64, 64, 16 << 20), "procs": (256, 64, 16 << 20)}
_HIGH = 60
#: Bytes that the kernel leaves for the main thread's stack; recursion through C functions is as deep as that.
_STACK = 112 << 20


@dataclass(frozen=True)
class Jail:
    """
    Args:
        uid: the user to become; None if we are not root.
        ruleset: landlock's descriptor; -1 for no landlock.
        filter: the seccomp program; empty for no seccomp.
    """

    tier: int
    profile: str
    uid: int | None
    ruleset: int
    filter: bytes

    @property
    def own_processes(self) -> bool:
        """Whether all other processes in the namespace belong to the current job."""
        return self.tier == 3

    def lock_in(self, limits: Mapping[str, Any]) -> None:
        """Limits, then landlock, then another user without capabilities, then seccomp. A failure ends the child."""
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # too much output ends the program; Python ignores the signal
        self._limit(limits)
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        if self.ruleset >= 0:
            kernel.landlock_restrict(self.ruleset)
            os.close(self.ruleset)
        if self.uid is not None:
            _become(self.uid)
        kernel.drop_capabilities()
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        # After the change of user, which resets it.
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        if self.filter:
            kernel.seccomp(seccomp_filter.for_process(self.filter, os.getpid()))

    def _limit(self, limits: Mapping[str, Any]) -> None:
        descriptors, tasks, scratch = _CAPACITY[self.profile]
        # The driver counts time more exactly. This is in case it has died, or has no time itself.
        cpu = int(limits["seconds"]) + 2
        wanted = {
            resource.RLIMIT_AS: limits["memory_bytes"],
            resource.RLIMIT_CPU: cpu,
            resource.RLIMIT_STACK: _STACK,
            resource.RLIMIT_FSIZE: max(limits["output_bytes"] + 1, scratch),
            resource.RLIMIT_NOFILE: descriptors,
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_MEMLOCK: 0,
            resource.RLIMIT_MSGQUEUE: 0,
        }
        # Counted per user: under an ordinary user's own id it would count all that the user runs.
        if self.uid is not None or self.own_processes:
            wanted[resource.RLIMIT_NPROC] = tasks
        for which, value in wanted.items():
            hard = resource.getrlimit(which)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            setrlimit(which, (value, value))


def build_jail(tier: int, profile: str, uid: int) -> Jail:
    """Raises OSError, KeyError if the machine does not support this tier."""
    program = seccomp_filter.build(profile, kernel.MACHINE) if tier >= 1 else b""
    ruleset = build_ruleset(profile) if tier >= 2 else -1
    return Jail(tier, profile, uid if os.getuid() == 0 else None, ruleset=ruleset, filter=program)


def build_ruleset(profile: str) -> int:
    """Landlock's rules for the current mounts: a rule belongs to the mount that it was made for."""
    rules: list[tuple[str, int]] = []
    if profile != "pure":
        read = _READ | (_EXECUTE if profile == "procs" else 0)
        rules = [("/", read), (namespaces.SCRATCH, _READ | _WRITE)]
        rules += [(f"/dev/{device}", _DEVICE) for device in namespaces.DEVICES]
    return _high(kernel.landlock_ruleset(rules))


def _high(descriptor: int) -> int:
    """Moves a descriptor away from the low numbers that a child uses."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    os.close(descriptor)
    return moved


def place_descriptors(descriptors: Sequence[int], keep: Sequence[int] = ()) -> None:
    """Makes `descriptors` numbers 0, 1, 2, ... and closes all others but those in `keep`."""
    moved = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, _HIGH + 8) for descriptor in descriptors]
    for target, descriptor in enumerate(moved):
        os.dup2(descriptor, target)
    low = len(moved)
    for kept in sorted(descriptor for descriptor in keep if descriptor >= 0):
        os.closerange(low, kept)
        low = kept + 1
    os.closerange(low, 1 << 20)


def _become(uid: int) -> None:
    """Another user than any other worker's. Capabilities are dropped even if root may not change users (containers)."""
    with contextlib.suppress(OSError):
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def reset_interpreter(own_streams: bool) -> None:
    """Makes the child look like a new interpreter. Without streams of its own it keeps those at /dev/null."""
    if own_streams:
        _open_streams()
    random.seed(0)  # the same for every program, so that verdicts are repeatable
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    gc.enable()


def _open_streams() -> None:
    sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]
    stand_ins.remember_fstat()
