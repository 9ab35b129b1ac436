"""The live self-test: programs that try to get out, run in the very sandbox that is to hold model code.

A tier is what its probes show, not what the kernel's version promises. Each program prints `held` where it was
stopped; a program that should work prints `works`.
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

_LIMITS = Limits(wall_seconds=1.5)
_SHORT = Limits(wall_seconds=0.15)
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

_MEND_SECCOMP = "a Linux kernel with seccomp filters (CONFIG_SECCOMP_FILTER), on x86_64 or aarch64"
_MEND_LANDLOCK = "Linux 5.13 or newer with landlock among the lsm= of its command line, not blocked by a container"
_MEND_SPACES = (
    "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, "
    "user.max_user_namespaces above 0; in a container, a seccomp profile that lets unshare and mount through"
)
_MEND_LIMITS = "a system whose rlimits hold: not every emulated kernel has them"


@dataclass(frozen=True)
class _Try:
    name: str
    program: str
    mend: str = _MEND_SECCOMP
    wanted: str = "held"


_ANY_TIER = (
    _Try(
        "an honest program runs", "import math, threading; print('works' if math.comb(5, 2) == 10 else 1)", "", "works"
    ),
    _Try("reads standard input", "print('works' if input() == 'in' else 1)", "", "works"),
    _Try("memory is limited", "held(bytearray, 4 << 30)", _MEND_LIMITS),
    _Try("no secret in the environment", "print('held' if {canary!r} not in str(os.environ) else 'open')"),
    _Try("no descriptor is left over", "held(lambda: [os.dup(n) for n in range(4, 40) if os.write(n, b'') >= 0])"),
    _Try("limits cannot be raised", "import resource; held(resource.setrlimit, 7, (9999, 9999))", _MEND_LIMITS),
)
_SECCOMP = (
    _Try("no file can be read", "held(open, {path!r})"),
    _Try("nor by the bare call", "held(libc.open, {path!r}.encode(), 0)"),
    _Try("nor asked about", "held(os.stat, {path!r})"),
    _Try("no file can be written", "held(open, {path!r} + '.new', 'w')"),
    _Try("no internet socket", "held(libc.socket, 2, 1, 0)"),
    _Try("no unix socket", "held(libc.socket, 1, 1, 0)"),
    _Try("no netlink socket", "held(libc.socket, 16, 3, 0)"),
    _Try("no fork", "held(os.fork)"),
    _Try("no vfork by the bare call", "held(libc.syscall, 220 if arm else 58, 17, 0, 0, 0, 0)"),
    _Try("no other program", "held(os.execv, '/bin/true', ['true'])"),
    _Try("no signal to the parent", "held(os.kill, os.getppid(), 0)"),
    _Try("no signal to everybody", "held(os.kill, -1, 0)"),
    _Try("no ptrace", "held(libc.ptrace, 16, os.getppid(), 0, 0)"),
    _Try("no other memory", "held(libc.process_vm_readv, os.getppid(), 0, 0, 0, 0, 0)"),
    _Try("no new namespace", "held(libc.unshare, 0x10000000)"),
    _Try("no mount", "held(libc.mount, b'x', b'/', b'tmpfs', 0, b'')"),
    _Try("no other user", "held(libc.setresuid, 0, 0, 0)"),
    _Try("no file in memory", "held(libc.memfd_create, b'x', 0)"),
    _Try("no io_uring", "held(libc.syscall, 425, 8, ctypes.create_string_buffer(120))"),
    _Try("no bpf", "held(libc.syscall, 280 if arm else 321, 0, 0, 0)"),
    _Try("no keyring", "held(libc.syscall, 219 if arm else 250, 0, -3, 0)"),
    _Try("no other process's limits", "held(libc.prlimit, os.getppid(), 7, 0, 0)"),
    _Try("the parent's death stays tied to ours", "held(libc.prctl, 1, 0, 0, 0, 0)"),
)
#: These run with landlock and without seccomp, so that one layer does not hide a hole in the other.
_LANDLOCK = (
    _Try("landlock: no file can be read", "held(open, {path!r})", _MEND_LANDLOCK),
    _Try("landlock: no file can be written", "held(open, {path!r} + '.new', 'w')", _MEND_LANDLOCK),
    _Try("landlock: no folder can be listed", "held(os.listdir, {folder!r})", _MEND_LANDLOCK),
)
_SPACES = (
    _Try("namespaces: alone among processes", "print('held' if os.getppid() == 1 else 'open')", _MEND_SPACES),
    _Try("namespaces: nothing of the disk", "held(os.stat, {path!r})", _MEND_SPACES),
    _Try(
        "namespaces: no network",
        "with_ip = ctypes.create_string_buffer(b'lo', 40)\n"
        "made = libc.socket(2, 2, 0)\n"
        "held(lambda: (libc.ioctl(made, 0x8913, with_ip), with_ip.raw[16] & 1)[1] - 1)",
        _MEND_SPACES,
    ),
)
_FILES_ALLOW = {"no file can be written", "nor asked about", "no file can be read", "nor by the bare call"}
_PROCS_ALLOW = {
    "no fork",
    "no vfork by the bare call",
    "no other program",
    "no signal to the parent",
    "no signal to everybody",
}


def probe(tier: int, profile: str) -> Iterator[Probe]:
    """Try a tier, probe by probe. A tier that cannot even be set up gives one failed probe with the reason."""
    mend = {3: _MEND_SPACES, 2: _MEND_LANDLOCK, 1: _MEND_SECCOMP}.get(tier, "Linux 5.4 or newer")
    with _canary() as (path, canary):
        lane = SandboxWorker(0, tier, profile)
        try:
            layers = _ANY_TIER + (_seccomp(profile) if tier >= 1 else ())
            yield from _tries(lane, layers, tier, path, canary)
            yield _spin(lane, tier)
            if tier >= 2:
                lane.close()
                lane.supervisors["candidate"] = bare = Supervisor(tier, profile, 60198, no_filter=True)
                bare.await_ready()
                yield from _tries(lane, _LANDLOCK + (_SPACES if tier == 3 else ()), tier, path, canary)
        except (SupervisorDiedError, OSError, AttributeError) as error:
            yield Probe(tier, "can be set up", False, str(error), mend)
        finally:
            lane.close()


def _seccomp(profile: str) -> tuple[_Try, ...]:
    """What the wider profiles let through is left to landlock, which has probes of its own."""
    open_here = set() if profile == "pure" else {"no file can be written", "nor asked about"}
    if profile == "procs":
        open_here |= _PROCS_ALLOW
    return tuple(one for one in _SECCOMP if one.name not in open_here)


def _tries(lane: SandboxWorker, tries: tuple[_Try, ...], tier: int, path: Path, canary: str) -> Iterator[Probe]:
    for one in tries:
        text = one.program.replace("{path!r}", repr(str(path))).replace("{folder!r}", repr(str(path.parent)))
        job = StdinJob(_PRELUDE + text.replace("{canary!r}", repr(canary)), "in\n")
        outcome = lane.run(job, _LIMITS)
        passed = outcome.status == "ran" and outcome.stdout.strip() == one.wanted
        yield Probe(tier, one.name, passed, "" if passed else _found(outcome), "" if passed else one.mend)


def _found(outcome: Outcome) -> str:
    return f"{outcome.status} {outcome.reason} {outcome.stdout.strip()[:80]}".strip()


def _spin(lane: SandboxWorker, tier: int) -> Probe:
    outcome = lane.run(StdinJob("while True:\n    try:\n        while True: pass\n    except: pass"), _SHORT)
    passed = outcome.status == "timeout" and outcome.seconds < 1
    return Probe(tier, "a program that hangs is killed", passed, "" if passed else _found(outcome), "")


@contextmanager
def _canary() -> Iterator[tuple[Path, str]]:
    """A file that anybody may read, and the same secret in our own environment."""
    secret = secrets.token_hex(8)
    with tempfile.TemporaryDirectory(prefix="selftrain-probe-") as folder:
        Path(folder).chmod(0o777)
        path = Path(folder) / "canary"
        path.write_text(secret, encoding="utf-8")
        path.chmod(0o666)
        os.environ["SELFTRAIN_PROBE"] = secret
        try:
            yield path, secret
        finally:
            del os.environ["SELFTRAIN_PROBE"]
