"""Tells trackers what the rounds of a run came to, each once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import partial
from typing import Any

from selftrain.report.round_record import RoundRecord
from selftrain.storage import Record
from selftrain.trackers.config import TrackerConfig
from selftrain.trackers.kinds import TRACKERS, LoggedRound, TrackedRun, Tracker
from selftrain.types import Sample

#: Kept samples of a round in a table, ours: enough to read, and few enough for a page.
ROWS = 50
_COLUMNS = ("model", "problem_id", "question", "completion", "extracted_answer", "reference", "reward", "weight")
#: Field of a record -> the beginning of its values' names.
_NAMED = {"sampling": "sampling", "method_metrics": "method", "training": "train", "probe": "probe"}


class Trackers:
    """An observer of a run (`selftrain.loop.run.Observer`). A tracker that fails is given up with a message.

    What was told is noted in the journal before it is told: a kill in between can cost a tracker a round, which
    rounds.jsonl has all the same, and no round is told twice.
    """

    def __init__(self, record: Record, trackers: Mapping[str, Tracker], say: Callable[[str], None]) -> None:
        self._record, self._trackers, self._say = record, dict(trackers), say

    def start(self, config: TrackerConfig) -> None:
        """Starts them, and tells them what an earlier process finished and did not tell."""
        if not self._trackers:
            return
        folder, settings = self._record.folder.path, self._record.run_metadata.get("settings", {})
        for name in [*self._trackers]:
            noted = self._record.metadata(_step(name)) or {}
            run = TrackedRun(
                folder=folder,
                name=config.run_name or folder.resolve().name,
                project=config.project,
                config=settings,
                id=noted.get("id"),
            )
            started = self._try(name, partial(_start, run=run))
            if started is not None:
                self._record.finish(_step(name), {"id": started})
        for step, lines in self._record.finished_rounds():
            self.see(step, [RoundRecord.from_dict(line, "a round in the journal") for line in lines])

    def see(self, step: str, records: Sequence[RoundRecord]) -> None:
        for name in [*self._trackers]:
            if self._record.metadata(_step(name, step)) is None:
                self._record.finish(_step(name, step), {})
                self._try(name, lambda tracker: tracker.log(self._logged(records)))

    def see_samples(self, number: int, samples: Sequence[Sample]) -> None:
        """A round's are logged when it ends, from its table."""

    def finish(self) -> None:
        for name in [*self._trackers]:
            self._try(name, lambda tracker: tracker.finish())

    def _try(self, name: str, act: Callable[[Tracker], Any]) -> Any:
        try:
            # Standard output is for the run's result.
            with redirect_stdout(sys.stderr):
                return act(self._trackers[name])
        except Exception as error:  # of the network, a full disk, or a package of somebody else
            del self._trackers[name]
            self._say(
                f"{name} is told no more: {type(error).__name__}: {error}; the run goes on, and rounds.jsonl has "
                "every round"
            )
            return None

    def _logged(self, records: Sequence[RoundRecord]) -> LoggedRound:
        number, rows = records[0].round, []
        if any(record.sampling and record.sampling.kept for record in records):
            rows = self._record.folder.rows(
                f"select {', '.join(_COLUMNS)} from samples where kept and round = {number:d} "
                f"order by model, problem_id, sample_index limit {ROWS}"
            )
        return LoggedRound(number=number, values=values_of(records), columns=_COLUMNS, rows=rows)


@contextmanager
def open_trackers(config: TrackerConfig, record: Record, say: Callable[[str], None]) -> Iterator[Trackers]:
    trackers = Trackers(record, {name: TRACKERS[name]() for name in config.names}, say)
    trackers.start(config)
    try:
        yield trackers
    finally:
        trackers.finish()


def values_of(records: Sequence[RoundRecord]) -> dict[str, float]:
    """The numbers of a round by name, each model's after its name where there are several.

    {"eval/greedy": 0.573, "gain/greedy": 0.112, "sampling/kept": 4190, "train/loss_last": 0.42, "probe/entropy": 0.3}

    Shares are from 0 to 1. An @ is written "_at_", since not every tracker takes it: "eval/pass_at_1".
    """
    several = len({record.model for record in records}) > 1
    return {
        f"{record.model}/{name}" if several else name: value
        for record in records
        for name, value in _values(record).items()
    }


def _values(record: RoundRecord) -> dict[str, float]:
    line = record.to_dict()
    found: dict[str, Any] = {f"eval/{name}": one.value for name, one in record.metrics.items()}
    found |= {f"gain/{name}": one.difference for name, one in record.against_base.items()}
    found |= {"validation/score": record.validation_score, "alarms": len(record.alarms)}
    for field, prefix in _NAMED.items():
        found |= {f"{prefix}/{name}": value for name, value in line.get(field, {}).items()}
    numbers = {name: value for name, value in found.items() if isinstance(value, int | float)}
    return {name.replace("@", "_at_"): float(value) for name, value in numbers.items()}


def _start(tracker: Tracker, run: TrackedRun) -> str:
    return tracker.start(run)


def _step(name: str, step: str = "") -> str:
    """Of the journal."""
    return f"tracker-{name}/{step}" if step else f"tracker-{name}"
