"""Namespaces: a process tree with no network, no other process and an almost empty root, where the kernel allows it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from selftrain.sandbox.inside import kernel

_SPACES = kernel.NEW_NS | kernel.NEW_PID | kernel.NEW_NET | kernel.NEW_IPC | kernel.NEW_UTS

#: Where the new root is put together: any folder that exists everywhere; only this process tree sees it change.
_STAGE = "/tmp"
SCRATCH = "/tmp"
_SCRATCH_OPTIONS = "size=64m,nr_inodes=4096,mode=1777"
_DEVICES = ("null", "zero", "urandom")


def enter(profile: str, control: int) -> None:
    """Move this process into namespaces of its own. It comes back as their first process; OSError where it cannot."""
    try:
        kernel.unshare(_SPACES)
    except PermissionError:  # an ordinary user, or a root that was robbed of its rights: by way of a user namespace
        uid, gid = os.getuid(), os.getgid()
        kernel.unshare(kernel.NEW_USER | _SPACES)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    first = os.fork()
    if first:
        _wait_and_end(first, control)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    _new_root(profile)


def _wait_and_end(first: int, control: int) -> None:
    """The process outside the namespaces: it only keeps the first process inside, which dies with it."""
    os.close(control)
    os.waitpid(first, 0)
    os._exit(0)


def _bind(source: str, target: str) -> None:
    kernel.mount(source, target, "", kernel.MS_BIND | kernel.MS_REC)


def _new_root(profile: str) -> None:
    """`pure`: nothing at all. `files`, `procs`: the standard library and programs to read, one small scratch folder."""
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    folders = _readable() if profile != "pure" else ()
    kernel.mount("root", _STAGE, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=1m,mode=755")
    os.chdir(_STAGE)
    # The stage hides what was below it: a folder there cannot be bound, and its modules are loaded already.
    for folder in folders:
        if folder.startswith(_STAGE + "/"):
            continue
        Path("." + folder).mkdir(parents=True, exist_ok=True)
        _bind(folder, "." + folder)
    if profile != "pure":
        Path("dev").mkdir()
        for device in _DEVICES:
            Path("dev", device).touch()
            _bind(f"/dev/{device}", f"dev/{device}")
        Path("." + SCRATCH).mkdir()
        Path("dev/shm").symlink_to(SCRATCH)
    kernel.pivot_root_here()
    kernel.mount(
        "none",
        "/",
        "",
        kernel.MS_REMOUNT | kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV,
        "size=1m,mode=755",
    )
    if profile != "pure":
        fresh_scratch(first=True)


def _readable() -> Sequence[str]:
    wanted = ["/usr", "/lib", "/lib64", "/bin", sys.base_prefix, sys.prefix]
    return [folder for folder in dict.fromkeys(wanted) if Path(folder).is_dir()]


def fresh_scratch(first: bool = False) -> None:
    """A new, empty scratch folder. The old one is let go of as a whole: no program's leavings are ever walked."""
    if not first:
        kernel.unmount(SCRATCH)
    kernel.mount("scratch", SCRATCH, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, _SCRATCH_OPTIONS)
