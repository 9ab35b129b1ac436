"""All changes to a run's folder: atomic, synced, and with errors that name the file.

After the first error every further operation fails with it. When the disk is full the reserve is freed first, so that
the operation in progress completes before the run stops.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from selftrain.errors import RunError
from selftrain.storage.journal.layout import PARTIAL, QUARANTINE, RESERVE

T = TypeVar("T")

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REMEDIES = {
    **dict.fromkeys(_FULL, "free some space and resume"),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "make it writable and resume"),
    errno.EIO: "check the disk (see `dmesg`) and resume",
}


def disk_error(error: OSError, path: Path) -> RunError:
    return RunError(
        f"{path}: {error.strerror or error}{_free_space(path)}",
        "the run stops here; everything before it is intact",
        _REMEDIES.get(error.errno or 0, "fix that and resume"),
    )


def _free_space(path: Path) -> str:
    for parent in (path, *path.parents):
        with suppress(OSError):
            return f" ({shutil.disk_usage(parent).free:,} bytes free)"
    return ""


@contextmanager
def disk_errors(path: Path, *library_errors: type[Exception]) -> Iterator[None]:
    """
    Args:
        library_errors: further exceptions by which a library reports that it cannot write.

    Raises:
        RunError: in place of an OSError or a library's error; exit code 74.
    """
    try:
        yield
    except OSError as error:
        raise disk_error(error, path) from error
    except library_errors as error:
        raise RunError(
            f"cannot write {path}: {error}", "the run stops here; everything before it is intact", ""
        ) from error


def is_regular(path: Path) -> bool:
    """Whether it is a file, and no folder, and no pipe or device that could be read for ever."""
    with suppress(OSError, ValueError):
        return stat.S_ISREG(path.stat().st_mode)
    return False


def read_bytes(path: Path) -> bytes:
    """Empty if there is no such file, or something else in its place."""
    with disk_errors(path), suppress(FileNotFoundError):
        return path.read_bytes() if is_regular(path) else b""
    return b""


class Disk:
    """Changes one folder. Paths inside it are relative strings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.failure: RunError | None = None

    def make_folder(self) -> None:
        """Creates the folder and syncs the names of all folders that were created for it."""
        missing = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        self.call(self.folder, lambda: self.folder.mkdir(parents=True, exist_ok=True))
        for path in missing:
            self.sync(path.parent)

    @contextmanager
    def operation(self) -> Iterator[None]:
        """What is completed, if need be by freeing the reserve, before a full disk stops the run."""
        if self.failure is not None:
            raise self.failure
        yield
        if self.failure is not None:
            raise self.failure

    def call(self, path: Path, function: Callable[..., T], *arguments: Any) -> T:
        """One system call; repeated when a signal interrupted it, or after freeing the reserve.

        Raises:
            RunError: it failed.
        """
        while True:
            try:
                return function(*arguments)
            except InterruptedError:
                continue
            except OSError as error:
                self.failure = self.failure or disk_error(error, path)
                # Never repeat a failed fsync: the kernel may have marked pages clean that did not reach the disk, and
                # a second call would report success.
                if function is os.fsync or error.errno not in _FULL or not self._free_reserve():
                    raise self.failure from error

    def open(self, path: Path, flags: int) -> int:
        # Does not wait for the other end where a pipe stands in a file's place.
        return self.call(path, lambda: os.open(path, flags | os.O_NONBLOCK, 0o666))

    def write(self, descriptor: int, path: Path, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self.call(path, os.write, descriptor, view) :]

    def sync(self, path: Path) -> None:
        """fsync of a file's content or a folder's entries."""
        descriptor = self.open(path, os.O_RDONLY)
        try:
            self.call(path, os.fsync, descriptor)
        finally:
            os.close(descriptor)

    def sync_parents(self, paths: Iterable[str]) -> None:
        """fsync of all folders above the paths."""
        for folder in sorted({self.folder / parent for path in paths for parent in Path(path).parents}):
            self.sync(folder)

    def make_parents(self, path: str) -> Path:
        """The absolute path, whose parent folders exist afterwards."""
        absolute = self.folder / path
        self.call(absolute.parent, lambda: absolute.parent.mkdir(parents=True, exist_ok=True))
        return absolute

    def write_partial(self, path: str, data: Iterable[bytes]) -> Path:
        """Writes and syncs a file below `partial/`, to be moved to its place later."""
        partial = self.make_parents(f"{PARTIAL}/{path}")
        descriptor = self.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            for piece in data:
                self.write(descriptor, partial, piece)
            self.call(partial, os.fsync, descriptor)
        finally:
            os.close(descriptor)
        return partial

    def replace(self, path: str, data: Iterable[bytes]) -> None:
        """Replaces a file atomically: after a crash it has its old content or the new one."""
        partial = self.write_partial(path, data)
        absolute = self.make_parents(path)
        if absolute.is_dir():  # which no file can replace
            self.quarantine([path])
        self.call(absolute, partial.replace, absolute)
        self.sync_parents([path])

    def move(self, source: Path, path: str) -> None:
        self.call(source, source.rename, self.make_parents(path))

    def quarantine(self, paths: Iterable[str]) -> list[str]:
        """Moves those files that exist to a new folder in `quarantine/`, and returns their new paths."""
        existing = [path for path in paths if os.path.lexists(self.folder / path)]
        if not existing:
            return []
        target = self._new_quarantine()
        for path in existing:
            self.move(self.folder / path, f"{target}/{path}")
        self.sync_parents([*existing, *(f"{target}/{path}" for path in existing)])
        for path in existing:
            self.remove_empty_parents(path)
        return [f"{target}/{path}" for path in existing]

    def replace_damaged(self, path: str, data: Iterable[bytes]) -> None:
        """Replaces a file after copying the damaged one, or what stands in its place, to `quarantine/`."""
        if is_regular(self.folder / path):
            self.replace(f"{self._new_quarantine()}/{path}", [read_bytes(self.folder / path)])
        else:
            self.quarantine([path])
        self.replace(path, data)

    def remove(self, path: str) -> None:
        """Removes a file or folder if it exists."""
        absolute = self.folder / path
        if absolute.is_dir() and not absolute.is_symlink():
            self.call(absolute, shutil.rmtree, absolute)
        else:
            self.call(absolute, lambda: absolute.unlink(missing_ok=True))

    def remove_empty_parents(self, path: str) -> None:
        for parent in (self.folder / path).parents[: len(Path(path).parents) - 1]:
            with suppress(OSError):  # not empty, or already removed
                for folder in parent.iterdir():  # that never held a file
                    folder.rmdir()
                parent.rmdir()

    def allocate_reserve(self, size: int) -> None:
        # Random bytes, which no file system can compress.
        path = self.folder / RESERVE
        descriptor = self.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            self.write(descriptor, path, os.urandom(size))
        finally:
            os.close(descriptor)

    def _new_quarantine(self) -> str:
        numbers = [int(path.name) for path in (self.folder / QUARANTINE).glob("*") if path.name.isdecimal()]
        return f"{QUARANTINE}/{max(numbers, default=0) + 1}"

    def _free_reserve(self) -> bool:
        try:
            (self.folder / RESERVE).unlink()
        except OSError:
            return False
        return True
