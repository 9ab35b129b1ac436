"""Makes the system calls of this process fail, or be its last: the plan says which call, and how.

{"call": 17, "how": "before"}        SIGKILL before the 17th state-changing call
{"call": 17, "how": "after"}         ... after it
{"call": 17, "how": "half"}          ... with a write half done
{"call": 17, "how": "power"}         ... and what was not synced is lost, wholly or in part
{"call": 17, "how": "ENOSPC"}        the call fails
{"call": 17, "how": "ENOSPC", "for_good": true}     and all later writes do too
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: All that changes a file system in the code under test. `open` counts where it creates.
CALLS = ("open", "write", "fsync", "rename", "replace", "mkdir", "unlink", "rmdir", "ftruncate")
_REAL: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in CALLS}


@dataclass
class Faults:
    plan: Mapping[str, Any]
    #: Where files survive that a loss of power brings back: a new folder in the same file system.
    graveyard: Path
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._power = None
        if self._how == "power":
            shutil.rmtree(self.graveyard, ignore_errors=True)
            self.graveyard.mkdir()
            self._power = Power(self.graveyard, random.Random(f"{self.plan}"))

    @property
    def _how(self) -> str:
        return str(self.plan.get("how", ""))

    def install(self) -> None:
        for name in CALLS:
            setattr(os, name, self._wrapped(name))

    def _wrapped(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if name == "open" and not arguments[1] & os.O_CREAT:
                return _REAL[name](*arguments, **named)
            self.calls.append(name)
            if len(self.calls) == self.plan.get("call"):
                self._strike(name, arguments, named)
            elif self.plan.get("for_good") and len(self.calls) > self.plan["call"] and name in ("write", "open"):
                self._fail()
            return self._done(name, arguments, named)

        return call

    def _done(self, name: str, arguments: Any, named: Any) -> Any:
        if self._power is None:
            return _REAL[name](*arguments, **named)
        return self._power.done(name, arguments, named)

    def _strike(self, name: str, arguments: Any, named: Any) -> None:
        if self._how in errno.errorcode.values():
            self._fail()
        if self._how == "after":
            with suppress(OSError):  # such as of a folder that is not empty and may stay
                self._done(name, arguments, named)
        if self._how in ("half", "power") and name == "write":
            self._done(name, (arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2]), named)
        if self._power is not None:
            self._power.lose()
        os.kill(os.getpid(), signal.SIGKILL)

    def _fail(self) -> None:
        number = getattr(errno, self._how)
        raise OSError(number, os.strerror(number))


@dataclass
class Power:
    """Remembers what is not yet on the disk, and loses it: bytes by cutting and zeroing, names by undoing.

    Names are lost from the last one back to some point; a synced folder keeps its own. So journaling file systems may
    behave, and this is a little worse.
    """

    graveyard: Path
    rng: random.Random
    #: By inode: a descriptor, and how many bytes are safe.
    _unsafe: dict[int, tuple[int, int]] = field(default_factory=dict)
    #: The folder whose names changed, and how to change them back.
    _names: list[tuple[Path, Callable[[], object]]] = field(default_factory=list)

    def done(self, name: str, arguments: Any, named: Any) -> Any:
        if name in ("write", "ftruncate"):
            status = os.fstat(arguments[0])
            if status.st_ino not in self._unsafe:
                again = _REAL["open"](f"/proc/self/fd/{arguments[0]}", os.O_RDWR)
                self._unsafe[status.st_ino] = (again, status.st_size)
        elif name == "fsync":
            self._synced(arguments[0])
        elif "dir_fd" not in named:  # rmtree has it, which removes what nobody needs
            undo = self._undoing(name, *(Path(one) for one in arguments[: 2 if name in ("rename", "replace") else 1]))
            result = _REAL[name](*arguments, **named)
            if undo is not None:
                folder = Path(arguments[1] if name in ("rename", "replace") else arguments[0]).parent.resolve()
                self._names.append((folder, undo))
            return result
        return _REAL[name](*arguments, **named)

    def lose(self) -> None:
        for descriptor, safe in self._unsafe.values():
            self._cut(descriptor, safe)
        keep = self.rng.randint(0, len(self._names)) if self.rng.random() < 0.7 else 0
        for _, undo in reversed(self._names[keep:]):
            with suppress(FileNotFoundError):  # the folder it was in is gone for good
                undo()

    def _cut(self, descriptor: int, safe: int) -> None:
        size = os.fstat(descriptor).st_size
        what = self.rng.choice(["all", "part", "hole", "none"]) if size > safe else "none"
        if what == "all":
            _REAL["ftruncate"](descriptor, safe)
        elif what == "part":
            _REAL["ftruncate"](descriptor, self.rng.randint(safe, size))
        elif what == "hole":
            start = self.rng.randint(safe, size - 1)
            os.pwrite(descriptor, bytes(min(self.rng.randint(1, 4096), size - start)), start)

    def _synced(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            place = Path(f"/proc/self/fd/{descriptor}").resolve()
            self._names = [(folder, undo) for folder, undo in self._names if folder != place]
        elif status.st_ino in self._unsafe:
            os.close(self._unsafe.pop(status.st_ino)[0])

    def _undoing(self, name: str, place: Path, target: Path | None = None) -> Callable[[], object] | None:
        """How to undo what is about to be done."""
        if name == "open":
            return None if place.exists() else lambda: place.exists() and _REAL["unlink"](place)
        if name == "mkdir":
            return lambda: shutil.rmtree(place, ignore_errors=True)
        if name == "rmdir":
            return lambda: _REAL["mkdir"](place)
        buried = self.graveyard / str(len(list(self.graveyard.iterdir())))
        if name == "unlink":
            os.link(place, buried)
            return lambda: os.link(buried, place)
        assert target is not None
        if replaced := target.is_file():
            os.link(target, buried)

        def rename_back() -> None:
            place.parent.mkdir(parents=True, exist_ok=True)
            _REAL["rename"](target, place)
            if replaced:
                os.link(buried, target)

        return rename_back
