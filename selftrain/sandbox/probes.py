"""The live self-test: programs that try to break out of the sandbox that is to hold model code.

A tier is what its probes show, not what the kernel's version promises. Each program prints `held` if it was stopped; a
program that should work prints `works`.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from selftrain.sandbox.jobs import Limits, Outcome, Probe, StdinJob
from selftrain.sandbox.supervisors import Supervisor, SupervisorDiedError
from selftrain.sandbox.worker import SandboxWorker

_LIMITS = Limits(seconds=1.5)
_SHORT = Limits(seconds=0.15)
_PRELUDE = """
import ctypes, os, platform
libc = ctypes.CDLL(None)
arm = platform.machine() == "aarch64"
def held(function, *arguments):
    try:
        result = function(*arguments)
    except (OSError, MemoryError, ValueError):
        print("held")
    else:
        print("held" if type(result) is int and result < 0 else f"open: {result!r}"[:60])
"""

_FIX_SECCOMP = "a Linux kernel with seccomp filters (CONFIG_SECCOMP_FILTER), on x86_64 or aarch64"
_FIX_LANDLOCK = "Linux 5.13 or newer with landlock among the lsm= of its command line, not blocked by a container"
_FIX_NAMESPACES = (
    "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, "
    "user.max_user_namespaces above 0; in a container, a seccomp profile that lets unshare and mount through"
)
_FIX_LIMITS = "a system whose rlimits hold: not every emulated kernel has them"


@dataclass(frozen=True)
class _Attempt:
    name: str
    program: str
    fix: str = _FIX_SECCOMP
    wanted: str = "held"


@dataclass(frozen=True)
class Canary:
    """A world-readable file that holds a secret; our own environment holds it, too."""

    path: Path
    secret: str


_ANY_TIER = (
    _Attempt(
        "an honest program runs", "import math, threading; print('works' if math.comb(5, 2) == 10 else 1)", "", "works"
    ),
    _Attempt("reads standard input", "print('works' if input() == 'in' else 1)", "", "works"),
    _Attempt("memory is limited", "held(bytearray, 4 << 30)", _FIX_LIMITS),
    _Attempt("no secret in the environment", "print('held' if {canary!r} not in str(os.environ) else 'open')"),
    _Attempt("no descriptor is inherited", "held(lambda: [os.dup(n) for n in range(4, 40) if os.write(n, b'') >= 0])"),
    _Attempt("limits cannot be raised", "import resource; held(resource.setrlimit, 7, (9999, 9999))", _FIX_LIMITS),
)
_SECCOMP = (
    _Attempt("no file can be read", "held(open, {path!r})"),
    _Attempt("no file can be read by system call", "held(libc.open, {path!r}.encode(), 0)"),
    _Attempt("no file can be inspected", "held(os.stat, {path!r})"),
    _Attempt("no file can be written", "held(open, {path!r} + '.new', 'w')"),
    _Attempt("no internet socket", "held(libc.socket, 2, 1, 0)"),
    _Attempt("no unix socket", "held(libc.socket, 1, 1, 0)"),
    _Attempt("no netlink socket", "held(libc.socket, 16, 3, 0)"),
    _Attempt("no fork", "held(os.fork)"),
    _Attempt("no vfork by system call", "held(libc.syscall, 220 if arm else 58, 17, 0, 0, 0, 0)"),
    _Attempt("no other program", "held(os.execv, '/bin/true', ['true'])"),
    _Attempt("no signal to the parent", "held(os.kill, os.getppid(), 0)"),
    _Attempt("no signal to all processes", "held(os.kill, -1, 0)"),
    _Attempt("no ptrace", "held(libc.ptrace, 16, os.getppid(), 0, 0)"),
    _Attempt("no memory of other processes", "held(libc.process_vm_readv, os.getppid(), 0, 0, 0, 0, 0)"),
    _Attempt("no new namespace", "held(libc.unshare, 0x10000000)"),
    _Attempt("no mount", "held(libc.mount, b'x', b'/', b'tmpfs', 0, b'')"),
    _Attempt("no other user", "held(libc.setresuid, 0, 0, 0)"),
    _Attempt("no file in memory", "held(libc.memfd_create, b'x', 0)"),
    _Attempt("no io_uring", "held(libc.syscall, 425, 8, ctypes.create_string_buffer(120))"),
    _Attempt("no bpf", "held(libc.syscall, 280 if arm else 321, 0, 0, 0)"),
    _Attempt("no keyring", "held(libc.syscall, 219 if arm else 250, 0, -3, 0)"),
    _Attempt("no other process's limits", "held(libc.prlimit, os.getppid(), 7, 0, 0)"),
    _Attempt("we still die with the parent", "held(libc.prctl, 1, 0, 0, 0, 0)"),
)
#: These run with landlock and without seccomp, so that one layer does not hide a hole in the other.
_LANDLOCK = (
    _Attempt("landlock: no file can be read", "held(open, {path!r})", _FIX_LANDLOCK),
    _Attempt("landlock: no file can be written", "held(open, {path!r} + '.new', 'w')", _FIX_LANDLOCK),
    _Attempt("landlock: no folder can be listed", "held(os.listdir, {folder!r})", _FIX_LANDLOCK),
)
_NAMESPACES = (
    _Attempt("namespaces: no other process", "print('held' if os.getppid() == 1 else 'open')", _FIX_NAMESPACES),
    _Attempt("namespaces: no file of the host", "held(os.stat, {path!r})", _FIX_NAMESPACES),
    _Attempt(
        "namespaces: no network",
        "with_ip = ctypes.create_string_buffer(b'lo', 40)\n"
        "made = libc.socket(2, 2, 0)\n"
        "held(lambda: (libc.ioctl(made, 0x8913, with_ip), with_ip.raw[16] & 1)[1] - 1)",
        _FIX_NAMESPACES,
    ),
)
_PROCS_ALLOW = {
    "no fork",
    "no vfork by system call",
    "no other program",
    "no signal to the parent",
    "no signal to all processes",
}


def probe(tier: int, profile: str) -> Iterator[Probe]:
    """Tries a tier, probe by probe. A tier that cannot be set up yields one failed probe with the reason."""
    worker = SandboxWorker(0, tier, profile)
    with open_canary() as canary:
        try:
            yield from probe_worker(worker, tier, profile, canary)
            if tier >= 2:
                worker.close()
                worker.supervisors["candidate"] = bare = Supervisor(tier, profile, 60198, no_filter=True)
                bare.await_ready()
                yield from _attempts(worker, tier, _LANDLOCK + (_NAMESPACES if tier == 3 else ()), canary)
        except (SupervisorDiedError, OSError, AttributeError) as error:
            fix = {3: _FIX_NAMESPACES, 2: _FIX_LANDLOCK, 1: _FIX_SECCOMP}.get(tier, "Linux 5.4 or newer")
            yield Probe(tier, "can be set up", False, found=str(error), fix=fix)
        finally:
            worker.close()


def probe_worker(worker: SandboxWorker, tier: int, profile: str, canary: Canary) -> Iterator[Probe]:
    """Tries whether a worker holds what seccomp and the limits of a tier promise."""
    yield from _attempts(worker, tier, _ANY_TIER + (_seccomp(profile) if tier >= 1 else ()), canary)
    spin = worker.run(StdinJob("while True:\n    try:\n        while True: pass\n    except: pass"), _SHORT)
    killed = spin.status == "timeout" and spin.own_seconds < 1
    yield Probe(tier, "a program that hangs is killed", killed, "" if killed else _describe(spin))


def _seccomp(profile: str) -> tuple[_Attempt, ...]:
    """The attempts that seccomp has to stop. What the wider profiles allow is left to landlock's own probes."""
    allowed = set() if profile == "pure" else {"no file can be written", "no file can be inspected"}
    if profile == "procs":
        allowed |= _PROCS_ALLOW
    return tuple(attempt for attempt in _SECCOMP if attempt.name not in allowed)


def _attempts(worker: SandboxWorker, tier: int, attempts: tuple[_Attempt, ...], canary: Canary) -> Iterator[Probe]:
    path, folder = repr(str(canary.path)), repr(str(canary.path.parent))
    for attempt in attempts:
        text = attempt.program.replace("{path!r}", path).replace("{folder!r}", folder)
        job = StdinJob(_PRELUDE + text.replace("{canary!r}", repr(canary.secret)), "in\n")
        outcome = worker.run(job, _LIMITS)
        if outcome.status == "ran" and outcome.stdout.strip() == attempt.wanted:
            yield Probe(tier, attempt.name, True)
        else:
            yield Probe(tier, attempt.name, False, found=_describe(outcome), fix=attempt.fix)


def _describe(outcome: Outcome) -> str:
    return f"{outcome.status} {outcome.reason} {outcome.stdout.strip()[:80]}".strip()


@contextmanager
def open_canary() -> Iterator[Canary]:
    secret = secrets.token_hex(8)
    with tempfile.TemporaryDirectory(prefix="selftrain-probe-") as folder:
        Path(folder).chmod(0o777)
        path = Path(folder) / "canary"
        path.write_text(secret, encoding="utf-8")
        path.chmod(0o666)
        os.environ["SELFTRAIN_PROBE"] = secret
        try:
            yield Canary(path, secret)
        finally:
            del os.environ["SELFTRAIN_PROBE"]
