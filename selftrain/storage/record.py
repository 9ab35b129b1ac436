"""Writes a run, step by step; what is finished is never done again."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from selftrain.errors import RunError
from selftrain.storage.answer_cache import AnswerCache
from selftrain.storage.derived_files import UNMANAGED, DerivedFiles, as_line
from selftrain.storage.fork_rounds import round_step, saved_as, share_rounds
from selftrain.storage.journal import Reader, Store, StoreOptions, disk_errors, holds_run, is_occupied
from selftrain.storage.rows import problem_rows, problem_schema, sample_schema
from selftrain.storage.run_folder import RunFolder
from selftrain.storage.tables import Put, writing
from selftrain.types import Problem

#: Ends the names of logs that are remembered answers.
_ANSWERS = "-answers"
#: And those of what a round came to.
_OUTCOME = ("samples", "evaluations", "weights")

Saves = Mapping[str, Callable[[Path], None]]


@dataclass(frozen=True)
class Told:
    """What a round came to, as the journal holds it: enough to go on from, without its answers."""

    lines: tuple[dict[str, Any], ...]
    #: By model: `score` and `signals` of its probe.
    probes: Mapping[str, Mapping[str, Any]]
    #: Why the run ends after this round; empty where it goes on.
    ends: str = ""


class Record(DerivedFiles):
    """The folder of a run that this process writes, alone.

    Args:
        memory: what answers of unfinished steps are remembered by.

    Raises:
        RunError: the folder cannot be written, holds another run already, or what it holds is damaged.
    """

    def __init__(self, path: str | Path, store: Store, answer_cache: AnswerCache) -> None:
        super().__init__(RunFolder(Path(path)))
        self._store, self.answer_cache = store, answer_cache

    @classmethod
    def create(cls, path: str | Path, facts: Mapping[str, Any], answer_cache: AnswerCache | None = None) -> Record:
        cls.refuse_taken(path)
        return cls(path, Store.create(path, facts, StoreOptions(unmanaged=UNMANAGED)), answer_cache or AnswerCache())

    @classmethod
    def resume(cls, path: str | Path, answer_cache: AnswerCache | None = None) -> Record:
        record = cls(path, Store.open(path, StoreOptions(unmanaged=UNMANAGED)), answer_cache or AnswerCache())
        record._rewrite_rounds()
        return record

    @staticmethod
    def refuse_taken(path: str | Path) -> None:
        if Path(path).is_file() or is_occupied(Path(path)):
            go_on = f", or go on with it: selftrain resume {path}" if holds_run(Path(path)) else ""
            raise RunError(
                f"output_dir {str(path)!r} is not empty",
                "a second run would be written over what is there",
                f"choose another --output_dir, move that folder away{go_on}",
            )

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the run was created with."""
        return self._store.journal[0].metadata

    @property
    def set_aside(self) -> Sequence[str]:
        return self._store.quarantined

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._store.close()

    # -- steps

    @contextmanager
    def remembering(self, number: int, what: str) -> Iterator[None]:
        """What is asked within is written down answer by answer, until `forget_answers`."""
        step = f"{round_step(number)}/{what}{_ANSWERS}"
        with self.answer_cache.during(step, self._store.log(step)):
            yield

    def forget_answers(self, numbers: Container[int]) -> None:
        """Removes the answers of rounds that nobody will ask again."""
        for step in self._store.existing_logs():
            if step.endswith(_ANSWERS) and int(step.partition("/")[0].removeprefix("round-")) in numbers:
                self._store.discard_log(step)

    def fact(self, step: str) -> Mapping[str, Any] | None:
        """What a finished step came to."""
        entry = self._store.finished(step)
        return None if entry is None else entry.metadata

    def finish(self, step: str, facts: Mapping[str, Any]) -> None:
        if self._store.finished(step) is None:
            self._store.commit(step, [], facts)

    def write_problems(self, parts: Mapping[str, Sequence[Problem]]) -> None:
        with self._table("problems", "problems.parquet", problem_schema()) as put:
            put(problem_rows(parts))

    def samples(self, round_number: int) -> AbstractContextManager[Put]:
        """Whatever rows are put within become the table of a round's samples, once."""
        return self._answers("samples", round_number)

    def write_evaluation(self, round_number: int, rows: Iterable[dict[str, Any]]) -> None:
        with self._answers("evaluations", round_number) as put:
            put(rows)

    def _answers(self, table: str, number: int) -> AbstractContextManager[Put]:
        name = round_step(number)
        return self._table(f"{name}/{table}", f"{table}/{name}.parquet", sample_schema())

    @contextmanager
    def _table(self, step: str, path: str, schema: Any) -> Iterator[Put]:
        if self._store.finished(step) is not None:
            yield lambda rows: None
            return
        with disk_errors(self.folder.path / path):
            partial = self._store.partial(path)
        with writing(partial, schema, self.folder.path / path) as put:
            yield put
        self._store.commit(step, [path])

    # -- rounds

    def told(self, number: int) -> Told | None:
        """What an earlier process wrote of a round."""
        facts = self.fact(f"{round_step(number)}/line")
        return None if facts is None else Told(tuple(facts["lines"]), facts["probes"], facts["ends"])

    def finish_round(self, number: int, told: Told) -> Told:
        """The round is over: its lines go into rounds.jsonl. Gives back what the journal holds."""
        step = f"{round_step(number)}/line"
        is_new = self._store.finished(step) is None
        self.finish(step, {"lines": list(told.lines), "probes": dict(told.probes), "ends": told.ends})
        found = self.told(number)
        assert found is not None
        if is_new:
            self.append("rounds.jsonl", found.lines)
        return found

    def finish_late(self, lines: Sequence[dict[str, Any]]) -> None:
        """What was measured after the last round."""
        if self.fact("late") is None:
            self.finish("late", {"lines": list(lines)})
            self.append("rounds.jsonl", (self.fact("late") or {})["lines"])

    def write_seconds(self, number: int, seconds: Mapping[str, float]) -> None:
        spent = {what: round(value, 2) for what, value in seconds.items()}
        self.append("timings.jsonl", [{"round": number, "seconds": spent}])

    def share_rounds(self, source: Reader, last: int) -> None:
        """Takes over the finished rounds of another run, up to one of its `shareable_rounds`, without copying."""
        share_rounds(source, self._store, last)

    def _rewrite_rounds(self) -> None:
        told = [e.metadata["lines"] for e in self._store.journal if e.step == "late" or e.step.endswith("/line")]
        self.write_text("rounds.jsonl", "".join(as_line(line) for lines in told for line in lines))

    def lost(self, number: int) -> set[str]:
        """What of a round was damaged and set aside: samples, evaluations, weights."""
        return {what for what in _OUTCOME if f"{round_step(number)}/{what}" in self._store.invalidated}

    @property
    def is_done(self) -> bool:
        """Whether the run is at its end, and nothing of what it came to was lost since."""
        return self.fact("done") is not None and not any(step.endswith(_OUTCOME) for step in self._store.invalidated)

    # -- weights

    def save(self, number: int, kind: str, saves: Saves, facts: Mapping[str, Any] | None = None) -> None:
        """Has each model write a folder: its `weights` of a round, or what is needed to go on from it. Once.

        The folders of all models appear together. One alone has no folder of its own in it.
        """
        from safetensors import SafetensorError

        step, path = saved_as(number, kind)
        if self._store.finished(step) is not None:
            return
        partial = self._store.partial(path)
        with disk_errors(self.folder.path / path, SafetensorError):
            for name, save in saves.items():
                own = partial if len(saves) == 1 else partial / name
                own.mkdir(parents=True)
                save(own)
        # Where no optimizer lives there is nothing to write, which is worth knowing as well.
        written = any(place.is_file() for place in partial.rglob("*"))
        self._store.commit(step, [path] if written else [], facts)

    def saved(self, number: int, kind: str, model: str = "") -> Path | None:
        """The folder of what was saved; None where it was not, or is gone."""
        if not self._is_there(number, kind):
            return None
        place = self._store.folder / saved_as(number, kind)[1]
        return place / model if (place / model).is_dir() else place

    def is_saved(self, number: int, kind: str) -> bool:
        """Whether it was saved and is there, even if it is nothing."""
        entry = self._store.finished(saved_as(number, kind)[0])
        return entry is not None and (not entry.files or self._is_there(number, kind))

    def facts_of(self, number: int, kind: str) -> Mapping[str, Any] | None:
        return self.fact(saved_as(number, kind)[0]) if self._is_there(number, kind) else None

    def drop(self, number: int, kind: str) -> None:
        if self._is_there(number, kind):
            self._store.drop(saved_as(number, kind)[0])

    def checkpoints(self) -> list[tuple[int, str]]:
        """Round and kind of all that is there but the `weights`."""
        found = dict.fromkeys(Path(file).parts[1:3] for file in self._store.files if file.startswith("checkpoint/"))
        return [(int(name.removeprefix("round-")), kind) for name, kind in found]

    def _is_there(self, number: int, kind: str) -> bool:
        entry = self._store.finished(saved_as(number, kind)[0])
        return entry is not None and any(file in self._store.files for file in entry.files)
