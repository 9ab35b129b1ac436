"""What a supervisor prepares once and each child puts on, in the order that leaves no gap."""

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
from typing import Any

from selftrain.sandbox.inside import kernel, seccomp_filter, spaces

#: Rights of landlock: execute, write, read file, read folder, make and remove things.
_READ, _EXECUTE = 0b1100, 0b1
_WRITE = 0b1110 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 13 | 1 << 14
_DEVICE = 0b110

#: Open descriptors a program may have, threads and processes it may be, and bytes of one scratch file.
_ROOM = {"pure": (16, 64, 0), "files": (64, 64, 16 << 20), "procs": (256, 64, 16 << 20)}
_HIGH = 60


@dataclass(frozen=True)
class Jail:
    """`uid` None: not root, so nobody else to become. `ruleset` -1: no landlock. `filter` empty: no seccomp."""

    tier: int
    profile: str
    uid: int | None
    ruleset: int
    filter: bytes

    @property
    def own_processes(self) -> bool:
        """The process tree holds nothing but one job at a time."""
        return self.tier == 3


def prepare(tier: int, profile: str, uid: int) -> Jail:
    """Build rules and filter. OSError or KeyError where the machine cannot hold to this tier."""
    program = seccomp_filter.build(profile, kernel.MACHINE) if tier >= 1 else b""
    return Jail(tier, profile, uid if os.getuid() == 0 else None, ruleset(profile) if tier >= 2 else -1, program)


def ruleset(profile: str) -> int:
    """Landlock's rules as the folders are now: a rule holds on to the very mount it was made for."""
    rules: list[tuple[str, int]] = []
    if profile != "pure":
        read = _READ | (_EXECUTE if profile == "procs" else 0)
        rules = [("/", read), (spaces.SCRATCH, _READ | _WRITE)]
        rules += [(f"/dev/{device}", _DEVICE) for device in ("null", "zero", "urandom")]
    return _high(kernel.landlock_ruleset(rules))


def _high(descriptor: int) -> int:
    """Out of the way of the low numbers that a child fills."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    os.close(descriptor)
    return moved


def place(descriptors: Sequence[int], after: Sequence[int] = ()) -> None:
    """Make `descriptors` numbers 0, 1, 2, ... and close all others but those in `after`."""
    moved = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, _HIGH + 8) for descriptor in descriptors]
    for target, descriptor in enumerate(moved):
        os.dup2(descriptor, target)
    low = len(moved)
    for kept in sorted(one for one in after if one >= 0):
        os.closerange(low, kept)
        low = kept + 1
    os.closerange(low, 1 << 20)


def put_on(jail: Jail, limits: Mapping[str, Any]) -> None:
    """Limits, then landlock, then another user without rights, then seccomp. What fails here ends the child."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # a flood of output ends the program; Python would go on
    _limit(jail, limits)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if jail.ruleset >= 0:
        kernel.landlock_restrict(jail.ruleset)
        os.close(jail.ruleset)
    if jail.uid is not None:
        _become(jail.uid)
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    # A change of user forgets who dies with whom, so this comes after it.
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if jail.filter:
        kernel.seccomp(seccomp_filter.for_process(jail.filter, os.getpid()))


def _limit(jail: Jail, limits: Mapping[str, Any]) -> None:
    descriptors, tasks, scratch = _ROOM[jail.profile]
    cpu = int(limits["cpu_seconds"]) + 1
    wanted = {
        resource.RLIMIT_AS: limits["memory_bytes"],
        resource.RLIMIT_CPU: cpu,
        resource.RLIMIT_FSIZE: max(limits["output_bytes"] + 1, scratch),
        resource.RLIMIT_NOFILE: descriptors,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    # Counted per user: under an ordinary user's own id it would count all that the user runs.
    if jail.uid is not None or jail.own_processes:
        wanted[resource.RLIMIT_NPROC] = tasks
    for which, value in wanted.items():
        hard = resource.getrlimit(which)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, value))


def _become(uid: int) -> None:
    """A user of this slot's own. Where root may not change users (some containers), rights are dropped all the same."""
    with contextlib.suppress(OSError):
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def tidy(streams: bool) -> None:
    """Make the child look like a fresh interpreter. Its streams are at /dev/null already, unless it has its own."""
    if streams:
        _open_streams()
    random.seed(0)  # the same luck for every program, so that a verdict can be had again
    gc.enable()


def _open_streams() -> None:
    sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]
    _remember_fstat()


def _remember_fstat() -> None:
    """Fast readers ask for the size of standard input, and some C libraries do so by path, which `pure` refuses."""
    known = {number: os.fstat(number) for number in (0, 1, 2)}
    real = os.fstat

    def fstat(fd: int) -> os.stat_result:
        return known[fd] if fd in known else real(fd)

    os.fstat = fstat
