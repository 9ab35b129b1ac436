"""System calls that Python does not offer, by ctypes. Every function raises OSError if the call fails."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Sequence

_libc = ctypes.CDLL(None, use_errno=True)

_fork = ctypes.PyDLL(None, use_errno=True).fork

MACHINE = platform.machine()

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 1, 4, 38, 22
NEW_NS, NEW_UTS, NEW_IPC = 0x20000, 0x4000000, 0x8000000
NEW_USER, NEW_PID, NEW_NET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
MNT_DETACH = 2

#: The same numbers on every architecture.
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_CAPSET = {"x86_64": 126, "aarch64": 91}


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def prctl(option: int, value: int, pointer: object = 0) -> None:
    argument = ctypes.cast(pointer, ctypes.c_void_p) if isinstance(pointer, ctypes.Array) else ctypes.c_void_p(0)
    _checked(_libc.prctl(option, ctypes.c_ulong(value), argument, ctypes.c_ulong(0), ctypes.c_ulong(0)), "prctl")


def fork() -> int:
    """The C library's fork, with the GIL held and without Python's handling of other threads: there are none here.

    Half the cost of os.fork, whose work on threading and random touches, and so copies, many pages.
    """
    return _checked(_fork(), "fork")


def unshare(flags: int) -> None:
    _checked(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str, *, flags: int, options: str = "") -> None:
    _checked(
        _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()),
        f"mount {target}",
    )


def unmount(target: str) -> None:
    _checked(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def pivot_root_here() -> None:
    """Makes the working directory the root, and unmounts the old one."""
    _checked(_libc.syscall(ctypes.c_long(_PIVOT_ROOT[MACHINE]), b".", b"."), "pivot_root")
    unmount(".")
    os.chdir("/")


def drop_capabilities() -> None:
    """Give up every capability of this process."""
    header = struct.pack("Ii", 0x20080522, 0)
    _checked(_libc.syscall(ctypes.c_long(_CAPSET[MACHINE]), header, bytes(24)), "capset")


def landlock_abi() -> int:
    """The kernel's version of landlock."""
    return _checked(
        _libc.syscall(ctypes.c_long(_LANDLOCK_CREATE), None, ctypes.c_size_t(0), ctypes.c_uint32(1)), "landlock"
    )


def landlock_ruleset(rules: Sequence[tuple[str, int]]) -> int:
    """A descriptor of a ruleset that denies all rights but those given for each path and beneath it."""
    abi = landlock_abi()
    files = (1 << (13 if abi < 2 else 14 if abi < 3 else 15 if abi < 5 else 16)) - 1
    # TCP bind and connect came with version 4; scopes (abstract sockets, signals) with version 6.
    attributes = struct.pack("QQQ", files, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    create = _libc.syscall(ctypes.c_long(_LANDLOCK_CREATE), attributes, ctypes.c_size_t(size), ctypes.c_uint32(0))
    ruleset = _checked(create, "landlock_create_ruleset")
    for path, rights in rules:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
        packed = struct.pack("=Qi", rights & files, beneath)
        added = _libc.syscall(ctypes.c_long(_LANDLOCK_ADD), ruleset, 1, packed, ctypes.c_uint32(0))
        os.close(beneath)
        _checked(added, f"landlock rule for {path}")
    return ruleset


def landlock_restrict(ruleset: int) -> None:
    _checked(_libc.syscall(ctypes.c_long(_LANDLOCK_RESTRICT), ruleset, ctypes.c_uint32(0)), "landlock_restrict_self")


def seccomp(program: bytes) -> None:
    """Installs a filter built by seccomp_filter.py. Needs no_new_privs."""
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HP", len(program) // 8, ctypes.addressof(code))
    prctl(PR_SET_SECCOMP, 2, ctypes.create_string_buffer(header, len(header)))
