"""The durable record of a run, which can be killed at any instruction. See docs/decisions/0007.

with Store.open(folder) if holds_run(folder) else Store.create(folder, {"seed": 7}) as store:
    if not store.finished("round-0001/samples"):
        log = store.log("round-0001/answers")
        for problem in problems:
            if problem.id not in log.rows:
                log.append(problem.id, answers_to(problem))
        write_table(store.partial("samples/round-0001.parquet"))
        store.commit("round-0001/samples", ["samples/round-0001.parquet"])
    store.discard_log("round-0001/answers")
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from selftrain.errors import RunError
from selftrain.storage.journal.disk import Disk
from selftrain.storage.journal.entries import Chain, Entry, Journal, build_chain, holds_run, read_journal, require_run
from selftrain.storage.journal.fingerprint import Fingerprint
from selftrain.storage.journal.layout import PARTIAL, RESERVE, existing_logs, is_allowed, log_path, unknown_files
from selftrain.storage.journal.lock import Lock
from selftrain.storage.journal.log import Log
from selftrain.storage.journal.reader import Reader


@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    """StoreOptions(unmanaged=("log.txt", "report.html"))"""

    #: Files and folders that the caller changes freely, or patterns of them: not journaled, not moved to quarantine.
    unmanaged: Collection[str] = ()
    #: Disk space that is freed when the disk is full, to complete the operation in progress.
    reserve_bytes: int = 16 << 20
    #: A power failure may lose what was appended to a log within this time.
    commit_seconds: float = 1.0


class Store(Reader):
    """The only writer of a run. What it does not commit has not happened.

    Every step has a name and is committed once: its files are complete and synced in `partial/`, then the journal gets
    its line, then the files are moved to their place. A kill before the line leaves nothing, one after it everything.

    Raises:
        LockedError: another process writes the run.
        RunError: the folder cannot be written, or its content is damaged.
    """

    def __init__(self, disk: Disk, lock: Lock, chain: Chain, options: StoreOptions) -> None:
        """Use `create` or `open`."""
        super().__init__(disk.folder, chain.entries)
        self._disk, self._lock, self._options = disk, lock, options
        self._logs: dict[str, Log] = {}
        #: New paths of files that the journal did not know.
        self.quarantined: list[str] = []
        self._journal = Journal(disk, chain)
        # A kill can have prevented the move of the last entry's files only.
        self._move_into_place(path for path in self._entries[-1].files if path in self._files)

    @classmethod
    def create(cls, folder: str | Path, metadata: Mapping[str, Any], options: StoreOptions = StoreOptions()) -> Store:
        """A new run in an empty folder. Its first entry holds `metadata`."""
        disk = Disk(Path(folder).absolute())
        disk.make_folder()
        with locked(disk) as lock:
            others = ["a run"] * holds_run(disk.folder) or list(unknown_files(disk.folder, (), options.unmanaged))
            if others:
                raise RunError(f"{folder} is not empty", f"it holds {others[0]}", "choose another, or move it away")
            store = cls(disk, lock, build_chain([Entry("create", "", metadata)]), options)
            store.clean_up()
            return store

    @classmethod
    def open(cls, folder: str | Path, options: StoreOptions = StoreOptions()) -> Store:
        """An existing run."""
        disk = Disk(Path(folder).absolute())
        require_run(disk.folder)
        with locked(disk) as lock:
            store = cls(disk, lock, read_journal(disk.folder), options)
            for path, expected in store.files.items():
                if mismatch := expected.mismatch(disk.folder / path, hashed=False):
                    raise store.damage_error(path, mismatch)
            store.clean_up()
            return store

    def log(self, name: str) -> Log:
        """A log, with what earlier processes appended to it."""
        if name not in self._logs:
            with self._disk.operation():
                self._logs[name] = Log(self._disk, log_path(name), self._options.commit_seconds)
        return self._logs[name]

    def existing_logs(self) -> list[str]:
        """Names of the logs that were not discarded."""
        return list(existing_logs(self.folder))

    def discard_log(self, name: str) -> None:
        with self._disk.operation():
            if name in self._logs:
                self._logs.pop(name).close()
            self._disk.remove(log_path(name))

    def partial(self, path: str) -> Path:
        """Where to write the file or folder that `commit` will move to `path`. Nothing exists there yet."""
        with self._disk.operation():
            self._disk.remove(f"{PARTIAL}/{path}")
            return self._disk.make_parents(f"{PARTIAL}/{path}")

    def commit(self, step: str, paths: Sequence[str] = (), metadata: Mapping[str, Any] | None = None) -> Entry:
        """Finishes a step with the files that were written at `partial(path)`, or with metadata alone."""
        if step in self._finished:
            raise ValueError(f"step {step!r} is already finished")
        for path in paths:
            if not is_allowed(path) or path in self._files:
                raise ValueError(f"{path!r} is outside the folder, the store's own, or another step's")
        with self._disk.operation():
            partial = self.folder / PARTIAL
            files = {file: fingerprint for path in paths for file, fingerprint in self._synced_files(path, partial)}
            self._disk.sync_parents(f"{PARTIAL}/{path}" for path in paths)
            self.quarantined += self._disk.quarantine(paths)
            entry = self._append(Entry("commit", step, metadata or {}, files))
            self._move_into_place(paths)
            return entry

    def adopt(self, step: str, path: str) -> Entry:
        """Finishes a step with a folder that is in its place already."""
        with self._disk.operation():
            return self._append(Entry("commit", step, {}, dict(self._synced_files(path, self.folder))))

    def drop(self, step: str) -> None:
        """Removes a step's files. The step stays finished."""
        with self._disk.operation():
            self._append(Entry("drop", step))
            self._remove(self._finished[step].files)

    def invalidate(self, step: str) -> None:
        """Moves the files of a damaged step to quarantine. The step is no longer finished."""
        files = self._finished[step].files
        with self._disk.operation():
            self._append(Entry("invalidate", step))
            self.quarantined += self._disk.quarantine(files)

    def restore(self, path: str, data: bytes | None, *, keep: bool) -> None:
        """Writes an unmanaged file anew, or only takes it away; with `keep` what stood there goes to quarantine."""
        with self._disk.operation():
            self.quarantined += self._disk.quarantine([path] * keep)
            if data is not None:
                self._disk.replace(path, [data])

    def clean_up(self) -> None:
        """Completes what a killed process had started, and moves unknown files to quarantine."""
        with self._disk.operation():
            self._remove(self._dropped)
            self._disk.remove(PARTIAL)
            unknown = self._disk.call(
                self.folder, lambda: list(unknown_files(self.folder, self._files, self._options.unmanaged))
            )
            self.quarantined += self._disk.quarantine(unknown)
            self._disk.allocate_reserve(self._options.reserve_bytes)

    def close(self) -> None:
        try:
            if self._disk.failure is None:
                for log in self._logs.values():
                    log.flush()
                self._disk.remove(PARTIAL)
                self._disk.remove(RESERVE)
        finally:
            for log in self._logs.values():
                log.close()
            self._journal.close()
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _synced_files(self, path: str, root: Path) -> Iterator[tuple[str, Fingerprint]]:
        """Syncs a file or folder in `root`; every file with its fingerprint."""
        queue = [root / path]
        for place in queue:
            if place.is_symlink() or not place.exists():
                raise ValueError(f"{place} is not a file or folder")
            self._disk.sync(place)
            if place.is_dir():
                queue += sorted(place.iterdir())
            else:
                yield place.relative_to(root).as_posix(), self._disk.call(place, Fingerprint.of_file, place)

    def _append(self, entry: Entry) -> Entry:
        self._lock.confirm()
        entry = self._journal.append(entry)
        self._add(entry)
        return entry

    def _move_into_place(self, paths: Iterable[str]) -> None:
        moved = list(paths)
        for path in moved:
            partial = self.folder / PARTIAL / path
            if partial.exists():
                self._disk.move(partial, path)
        self._disk.sync_parents(moved)

    def _remove(self, paths: Iterable[str]) -> None:
        for path in sorted(paths):
            self._disk.remove(path)
            self._disk.remove_empty_parents(path)


@contextmanager
def locked(disk: Disk) -> Iterator[Lock]:
    """Takes the lock of a run, and releases it if the block fails; else the store does so when it is closed."""
    lock = Lock(disk)
    try:
        yield lock
    except BaseException:
        lock.release()
        raise
