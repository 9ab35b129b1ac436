"""The record of a run that can be killed at any instruction. See docs/decisions/0007.

with Store.open(folder) if holds_run(folder) else Store.create(folder, {"seed": 7}) as store:
    if not store.finished("round-0001/samples"):
        log = store.log("round-0001/samples")
        for problem in (one for one in problems if one.id not in log.rows):
            log.append(problem.id, answers_to(problem))
        store.seal("round-0001/samples", "samples/round-0001.parquet", schema, sort_by=["problem_id", "sample_index"])
    if not store.finished("round-0001/weights"):
        model.save_pretrained(store.partial("weights/round-0001"))
        store.commit("round-0001/weights", ["weights/round-0001"])
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from selftrain.errors import RunError
from selftrain.storage.journal import shards
from selftrain.storage.journal.disk import Disk
from selftrain.storage.journal.entries import Chain, Entry, Journal, chained, holds_run, require_run, sound_chain
from selftrain.storage.journal.fingerprint import Fingerprint
from selftrain.storage.journal.layout import PARTIAL, RESERVE, allowed, log_of, logs, strangers
from selftrain.storage.journal.lock import Lock
from selftrain.storage.journal.log import Log
from selftrain.storage.journal.reader import Reader


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Terms(free=("log.txt", "report.html"))"""

    #: Files and folders that the caller changes as he likes: neither journaled nor set aside.
    free: Collection[str] = ()
    #: Room for what is on its way to the disk when it is full.
    reserve_bytes: int = 16 << 20
    #: A loss of power may take what was appended so long ago.
    commit_seconds: float = 1.0


class Store(Reader):
    """Writes one run, alone. What it does not finish has not happened.

    Every step has a name and is finished once, by `seal` or `commit`: its files are whole and synced beside their
    place, then the journal says so, then they move. A kill before the journal's line leaves nothing, one after it
    everything.

    Raises:
        HeldError: another process writes the run.
        RunError: the folder cannot be written, or what it holds is damaged.
    """

    def __init__(self, disk: Disk, lock: Lock, chain: Chain, terms: Terms) -> None:
        """Use `create` or `open`."""
        super().__init__(disk.folder, chain.entries)
        self._disk, self._lock, self._terms = disk, lock, terms
        self._logs: dict[str, Log] = {}
        #: Where files went that the journal does not know.
        self.set_aside: list[str] = []
        self._journal = Journal(disk, chain)
        # Only the last entry can have been killed before its files were moved.
        self._settle(path for path in self._entries[-1].files if path in self._files)

    @classmethod
    def create(cls, folder: str | Path, facts: Mapping[str, Any], terms: Terms = Terms()) -> Store:
        """A new run in an empty folder. Its first entry holds `facts`."""
        disk = Disk(Path(folder).absolute())
        disk.make_folder()
        with held(disk) as lock:
            others = ["a run"] * holds_run(disk.folder) or list(strangers(disk.folder, (), terms.free))
            if others:
                raise RunError(f"{folder} is not empty", f"it holds {others[0]}", "choose another, or move it away")
            store = cls(disk, lock, chained([Entry("create", "", facts)]), terms)
            store.tidy()
            return store

    @classmethod
    def open(cls, folder: str | Path, terms: Terms = Terms()) -> Store:
        """A run to go on with."""
        disk = Disk(Path(folder).absolute())
        require_run(disk.folder)
        with held(disk) as lock:
            store = cls(disk, lock, sound_chain(disk.folder), terms)
            for path, expected in store.files.items():
                if wrong := expected.wrong(disk.folder / path, hashed=False):
                    raise store.damaged(path, wrong)
            store.tidy()
            return store

    def log(self, step: str) -> Log:
        """The log of a step that is not finished, with what an earlier process had appended."""
        self._require_new(step, ())
        if step not in self._logs:
            with self._disk.operation():
                self._logs[step] = Log(self._disk, log_of(step), self._terms.commit_seconds)
        return self._logs[step]

    def partial(self, path: str) -> Path:
        """Where to write the file or folder that `commit` is to move to `path`. Nothing is there yet."""
        with self._disk.operation():
            self._disk.remove(f"{PARTIAL}/{path}")
            return self._disk.make_parents(f"{PARTIAL}/{path}")

    def seal(
        self, step: str, path: str, schema: Any, sort_by: Sequence[str], facts: Mapping[str, Any] | None = None
    ) -> Entry:
        """Finishes a step with the rows of its log, sorted into one Parquet file. The log is removed."""
        self._require_new(step, [path])
        log = self.log(step)
        log.flush()
        rows = shards.in_order(log.units(), sort_by)
        data = shards.encode(rows, schema)
        with self._disk.operation():
            self._disk.write_partial(path, [data])
            entry = self._finish(Entry("seal", step, facts or {}, {path: Fingerprint.of(data)}, len(rows)), [path])
            self._logs.pop(step).close()
            self._disk.remove(log_of(step))
            return entry

    def commit(self, step: str, paths: Sequence[str] = (), facts: Mapping[str, Any] | None = None) -> Entry:
        """Finishes a step with what was written under `partial`, or with facts alone."""
        self._require_new(step, paths)
        with self._disk.operation():
            files = {one: fingerprint for path in paths for one, fingerprint in self._written(path)}
            return self._finish(Entry("commit", step, facts or {}, files), paths)

    def unfinished(self) -> list[str]:
        """The steps that have a log."""
        return list(logs(self.folder))

    def discard(self, step: str) -> None:
        """Removes the log of a step whose content is needed no more."""
        with self._disk.operation():
            if step in self._logs:
                self._logs.pop(step).close()
            self._disk.remove(log_of(step))

    def drop(self, step: str) -> None:
        """Removes a step's files, which nobody will need again. The step stays finished."""
        with self._disk.operation():
            self._append(Entry("drop", step))
            self._remove(self._finished[step].files)

    def lose(self, step: str) -> None:
        """Sets a step's files aside, of which some are damaged. The step is not finished any more."""
        files = self._finished[step].files
        with self._disk.operation():
            self._append(Entry("lose", step))
            self.set_aside += self._disk.set_aside(files)

    def tidy(self) -> None:
        """Ends what a killed process had begun, and moves away what nobody answers for."""
        with self._disk.operation():
            self._remove(self._dropped)
            self._disk.remove(PARTIAL)
            for step, path in logs(self.folder).items():
                if step in self._finished:
                    self._disk.remove(path)
            unknown = self._disk.do(self.folder, lambda: list(strangers(self.folder, self._files, self._terms.free)))
            self.set_aside += self._disk.set_aside(unknown)
            self._disk.hold_reserve(self._terms.reserve_bytes)

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

    def _require_new(self, step: str, paths: Iterable[str]) -> None:
        if step in self._finished:
            raise ValueError(f"step {step!r} is finished already")
        for path in paths:
            if not allowed(path) or path in self._files:
                raise ValueError(f"{path!r} is outside the folder, the store's own, or another step's")

    def _written(self, path: str) -> Iterator[tuple[str, Fingerprint]]:
        """The files under a partial one or in a partial folder, synced like their folders."""
        root = self.folder / PARTIAL
        places = [root / path]
        for place in places:
            if place.is_symlink() or not place.exists():
                raise ValueError(f"{place} is no file or folder")
            self._disk.sync(place)
            if place.is_dir():
                places += sorted(place.iterdir())
            else:
                yield place.relative_to(root).as_posix(), self._disk.do(place, Fingerprint.of_file, place)

    def _finish(self, entry: Entry, paths: Sequence[str]) -> Entry:
        self._disk.sync_folders_of(f"{PARTIAL}/{path}" for path in paths)
        self.set_aside += self._disk.set_aside(paths)
        entry = self._append(entry)
        self._settle(paths)
        return entry

    def _append(self, entry: Entry) -> Entry:
        self._lock.confirm()
        entry = self._journal.append(entry)
        self._add(entry)
        return entry

    def _settle(self, paths: Iterable[str]) -> None:
        """Moves finished files to their place."""
        moved = list(paths)
        for path in moved:
            partial = self.folder / PARTIAL / path
            if partial.exists():
                self._disk.move(partial, path)
        self._disk.sync_folders_of(moved)

    def _remove(self, paths: Iterable[str]) -> None:
        for path in sorted(paths):
            self._disk.remove(path)
            self._disk.prune(path)


@contextmanager
def held(disk: Disk) -> Iterator[Lock]:
    """The lock of a run, given back only where what follows fails."""
    lock = Lock(disk)
    try:
        yield lock
    except BaseException:
        lock.release()
        raise
