"""All changes to a run's folder: each whole, synced, and with a failure that names the file.

A failure is remembered, and everything asked for later fails with it. A disk that is full gives up the reserve first,
so that the operation in hand is ended before the run is: nothing that was paid for is lost.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from selftrain.errors import RunError
from selftrain.storage.journal.layout import PARTIAL, RESERVE, SET_ASIDE

T = TypeVar("T")

_FULL = (errno.ENOSPC, errno.EDQUOT)
_MEND = {
    **dict.fromkeys(_FULL, "free some space and resume"),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "make it writable and resume"),
    errno.EIO: "see to the disk (`dmesg` tells more) and resume",
}


def disk_error(error: OSError, path: Path) -> RunError:
    return RunError(
        f"{path}: {error.strerror or error}{_free(path)}",
        "the run stops here; everything before it is intact",
        _MEND.get(error.errno or 0, "mend that and resume"),
    )


def _free(path: Path) -> str:
    for place in (path, *path.parents):
        with suppress(OSError):
            return f" ({shutil.disk_usage(place).free:,} bytes free)"
    return ""


def read_bytes(path: Path) -> bytes:
    """Nothing where there is no such file."""
    with reading(path), suppress(FileNotFoundError):
        return path.read_bytes()
    return b""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """
    Raises:
        RunError: it is there, and cannot be read.
    """
    try:
        yield
    except OSError as error:
        raise disk_error(error, path) from error


class Disk:
    """Changes one folder. Paths inside it are given relative, as texts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.failure: RunError | None = None

    def make_folder(self) -> None:
        """The folder itself, which outlasts a loss of power like all that is in it."""
        missing = [place for place in (self.folder, *self.folder.parents) if not place.exists()]
        self.do(self.folder, lambda: self.folder.mkdir(parents=True, exist_ok=True))
        for place in missing:
            self.sync(place.parent)

    @contextmanager
    def operation(self) -> Iterator[None]:
        """What is ended, if need be with the help of the reserve, before a full disk stops the run."""
        if self.failure is not None:
            raise self.failure
        yield
        if self.failure is not None:
            raise self.failure

    def do(self, path: Path, call: Callable[..., T], *arguments: Any) -> T:
        """One system call, made again where a signal broke it off or the reserve made room for it."""
        while True:
            try:
                return call(*arguments)
            except InterruptedError:
                continue
            except OSError as error:
                self.failure = self.failure or disk_error(error, path)
                # After a failed fsync the kernel may hold pages for clean that never reached the disk: asked again
                # it would say yes.
                if call is os.fsync or error.errno not in _FULL or not self._free_reserve():
                    raise self.failure from error

    def open(self, path: Path, flags: int) -> int:
        return self.do(path, os.open, path, flags, 0o666)

    def write(self, descriptor: int, path: Path, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self.do(path, os.write, descriptor, view) :]

    def sync(self, path: Path) -> None:
        """Makes a file's bytes, or a folder's names, outlast a loss of power."""
        descriptor = self.open(path, os.O_RDONLY)
        try:
            self.do(path, os.fsync, descriptor)
        finally:
            os.close(descriptor)

    def sync_folders_of(self, paths: Iterable[str]) -> None:
        """Makes the names of files, and of all folders above them, outlast a loss of power."""
        for folder in sorted({self.folder / parent for path in paths for parent in Path(path).parents}):
            self.sync(folder)

    def make_parents(self, path: str) -> Path:
        """The place of `path`, whose folders are there now."""
        place = self.folder / path
        self.do(place.parent, lambda: place.parent.mkdir(parents=True, exist_ok=True))
        return place

    def write_partial(self, path: str, data: Iterable[bytes]) -> Path:
        """A synced file of such pieces in the folder of partial files, to be moved to its place."""
        partial = self.make_parents(f"{PARTIAL}/{path}")
        descriptor = self.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            for piece in data:
                self.write(descriptor, partial, piece)
            self.do(partial, os.fsync, descriptor)
        finally:
            os.close(descriptor)
        return partial

    def replace(self, path: str, data: Iterable[bytes]) -> None:
        """A file that has either its old content or the new, whenever the machine stops."""
        partial = self.write_partial(path, data)
        place = self.make_parents(path)
        self.do(place, partial.replace, place)
        self.sync_folders_of([path])

    def move(self, source: Path, path: str) -> None:
        self.do(source, source.rename, self.make_parents(path))

    def set_aside(self, paths: Iterable[str]) -> list[str]:
        """Moves what is not to be trusted out of the way, and says where it is now."""
        there = [path for path in paths if os.path.lexists(self.folder / path)]
        if not there:
            return []
        aside = self._new_aside()
        for path in there:
            self.move(self.folder / path, f"{aside}/{path}")
        self.sync_folders_of([*there, *(f"{aside}/{path}" for path in there)])
        for path in there:
            self.prune(path)
        return [f"{aside}/{path}" for path in there]

    def mend(self, path: str, data: Iterable[bytes]) -> None:
        """Replaces a damaged file, of which a copy is set aside first."""
        self.replace(f"{self._new_aside()}/{path}", [read_bytes(self.folder / path)])
        self.replace(path, data)

    def remove(self, path: str) -> None:
        """Removes a file or a folder, where it is there."""
        place = self.folder / path
        if place.is_dir() and not place.is_symlink():
            self.do(place, shutil.rmtree, place)
        else:
            self.do(place, lambda: place.unlink(missing_ok=True))

    def prune(self, path: str) -> None:
        """Removes the folders that the removal of `path` left empty."""
        for parent in (self.folder / path).parents[: len(Path(path).parents) - 1]:
            with suppress(OSError):  # not empty, or gone already
                parent.rmdir()

    def hold_reserve(self, size: int) -> None:
        # Random, so that no file system can store it in less.
        place = self.folder / RESERVE
        descriptor = self.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            self.write(descriptor, place, os.urandom(size))
        finally:
            os.close(descriptor)

    def _new_aside(self) -> str:
        taken = [int(one.name) for one in (self.folder / SET_ASIDE).glob("*") if one.name.isdecimal()]
        return f"{SET_ASIDE}/{max(taken, default=0) + 1}"

    def _free_reserve(self) -> bool:
        try:
            (self.folder / RESERVE).unlink()
        except OSError:
            return False
        return True
