"""Namespaces: a process tree without network and other processes, with an almost empty root."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from selftrain.sandbox.inside import kernel

_NAMESPACES = kernel.NEW_NS | kernel.NEW_PID | kernel.NEW_NET | kernel.NEW_IPC | kernel.NEW_UTS

#: Where the new root is assembled: a folder that exists everywhere. Only this process tree sees the change.
_STAGE = "/tmp"
SCRATCH = "/tmp"
_SCRATCH_OPTIONS = "size=64m,nr_inodes=4096,mode=1777"
DEVICES = ("null", "zero", "urandom")


def enter(profile: str, control: int) -> None:
    """Moves this process into namespaces of its own; it returns as their first process.

    Raises OSError if the kernel does not allow it.
    """
    try:
        kernel.unshare(_NAMESPACES)
    except PermissionError:  # an ordinary user, or root without capabilities: through a user namespace
        uid, gid = os.getuid(), os.getgid()
        kernel.unshare(kernel.NEW_USER | _NAMESPACES)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    alive, held = os.pipe()
    first = os.fork()
    if first:
        _wait_and_end(first, control)
    os.close(held)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if select.select([alive], [], [], 0)[0]:
        os._exit(1)  # the process outside, which holds the other end, was killed before that signal was asked for
    os.close(alive)
    _new_root(profile)


def _wait_and_end(first: int, control: int) -> None:
    """The process outside the namespaces: the first process inside dies with it."""
    os.close(control)
    os.waitpid(first, 0)
    os._exit(0)


def _bind(source: str, target: str) -> None:
    kernel.mount(source, target, "", flags=kernel.MS_BIND | kernel.MS_REC)


def _new_root(profile: str) -> None:
    """`pure`: empty. `files`, `procs`: the standard library and programs to read, and a small scratch folder."""
    kernel.mount("none", "/", "", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    folders = _readable() if profile != "pure" else ()
    safe = kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("root", _STAGE, "tmpfs", flags=safe, options="size=1m,mode=755")
    os.chdir(_STAGE)
    # The stage hides folders below it, so they cannot be bound; their modules are loaded already.
    for folder in folders:
        if folder.startswith(_STAGE + "/"):
            continue
        Path("." + folder).mkdir(parents=True, exist_ok=True)
        _bind(folder, "." + folder)
    if profile != "pure":
        Path("dev").mkdir()
        for device in DEVICES:
            Path("dev", device).touch()
            _bind(f"/dev/{device}", f"dev/{device}")
        Path("." + SCRATCH).mkdir()
        Path("dev/shm").symlink_to(SCRATCH)
    kernel.pivot_root_here()
    kernel.mount("none", "/", "", flags=kernel.MS_REMOUNT | kernel.MS_RDONLY | safe, options="size=1m,mode=755")
    if profile != "pure":
        fresh_scratch(first=True)


def _readable() -> Sequence[str]:
    wanted = ["/usr", "/lib", "/lib64", "/bin", sys.base_prefix, sys.prefix]
    return [folder for folder in dict.fromkeys(wanted) if Path(folder).is_dir()]


def fresh_scratch(first: bool = False) -> None:
    """A new, empty scratch folder. The old one is unmounted as a whole: its files are never walked."""
    if not first:
        kernel.unmount(SCRATCH)
    kernel.mount("scratch", SCRATCH, "tmpfs", flags=kernel.MS_NOSUID | kernel.MS_NODEV, options=_SCRATCH_OPTIONS)
