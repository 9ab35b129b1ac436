"""Assembles the records of a round. The only place that does; `selftrain.report.round_record` says what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from selftrain.evaluation import EvalResult
from selftrain.loop.collect import CollectedRound
from selftrain.loop.learner import Learner
from selftrain.loop.probe import Probe
from selftrain.report.round_record import Alarm, RoundRecord, ValidatedBy
from selftrain.storage import RunFolder, StoredRound, sample_row
from selftrain.training.base import TrainingReport
from selftrain.types import Problem, Sample

Reports = Mapping[str, TrainingReport | None]


@dataclass(frozen=True)
class RoundOutcome:
    """Everything that a round resulted in; each mapping is by model."""

    number: int
    #: None in round 0.
    collected: CollectedRound | None = None
    #: Empty where nothing was trained.
    reports: Reports = field(default_factory=dict)
    #: Empty where the models were not probed.
    probes: Mapping[str, Probe] = field(default_factory=dict)
    alarms: Sequence[Alarm] = ()
    #: Empty where the models were not evaluated; with the evaluation's fields alone.
    evaluated: Mapping[str, RoundRecord] = field(default_factory=dict)

    @property
    def trained(self) -> bool:
        return any(self.reports.values())


@dataclass(frozen=True)
class FinishedRound:
    """What the journal holds of a round: enough to continue from, without its samples."""

    records: tuple[RoundRecord, ...]
    probes: Mapping[str, Probe]
    #: Why the run ends after this round; empty where it continues.
    stop_reason: str = ""

    @property
    def trained(self) -> bool:
        return any(record.training is not None for record in self.records)

    @property
    def evaluated(self) -> bool:
        return any(record.metrics for record in self.records)

    @property
    def tokens(self) -> int:
        """Sampled for training."""
        return sum(record.sampling.tokens for record in self.records if record.sampling is not None)

    def to_journal(self) -> StoredRound:
        lines = tuple(record.to_dict() for record in self.records)
        return StoredRound(lines, {model: asdict(probe) for model, probe in self.probes.items()}, self.stop_reason)

    @classmethod
    def from_journal(cls, stored: StoredRound) -> FinishedRound:
        records = tuple(RoundRecord.from_dict(line, "a round in the journal") for line in stored.records)
        return cls(records, {model: Probe(**probe) for model, probe in stored.probes.items()}, stored.stop_reason)


@dataclass(frozen=True)
class RoundRecorder:
    """
    Args:
        validated_by: None without validation problems.
        unsafe: what is recorded as unsafe of the whole run, in round 0.
    """

    learners: Sequence[Learner]
    folder: RunFolder
    validated_by: ValidatedBy | None
    unsafe: str = ""

    def records(self, outcome: RoundOutcome) -> tuple[RoundRecord, ...]:
        """One per model; an evaluated team's come last."""
        own = tuple(self._record(learner, outcome) for learner in self.learners)
        return (*own, *(record for record in outcome.evaluated.values() if record.team))

    def _record(self, learner: Learner, outcome: RoundOutcome) -> RoundRecord:
        name, number, collected = learner.name, outcome.number, outcome.collected
        probe = outcome.probes.get(name)
        record = outcome.evaluated.get(name, RoundRecord(round=number, model=name))
        return replace(
            record,
            weights=self._weights(learner, learner.weights_version) if outcome.evaluated else "",
            sampling=None if collected is None else collected.stats[name].summary(),
            method_metrics={} if collected is None else collected.metrics,
            training=outcome.reports.get(name),
            validation_score=None if probe is None else probe.mean,
            validated_by=None if probe is None else self.validated_by,
            probe={} if probe is None else probe.signals,
            alarms=tuple(alarm for alarm in outcome.alarms if alarm.model == name),
            unsafe="" if number else self.unsafe,
        )

    def late_records(self, number: int, evaluated: Mapping[str, RoundRecord]) -> tuple[RoundRecord, ...]:
        """Of a round that is evaluated after the last one; they add to its earlier records."""
        weights = {learner.name: self._weights(learner, number) for learner in self.learners}
        return tuple(replace(record, weights=weights.get(name, "")) for name, record in evaluated.items())

    def _weights(self, learner: Learner, number: int) -> str:
        return self.folder.weights_name(number, learner.name, learner.base)


def sample_rows(samples: Sequence[Sample], number: int, problems: Mapping[str, Problem]) -> Iterator[dict[str, Any]]:
    """Rows of the table `samples`."""
    return (sample_row(s, number, problems[s.response.prompt.problem_id].reference) for s in samples)


def evaluation_rows(
    results: Sequence[EvalResult], number: int, problems: Mapping[str, Problem]
) -> Iterator[dict[str, Any]]:
    """Rows of the table `evaluations`."""
    for result in results:
        reference = problems[result.problem_id].reference
        if result.greedy is not None:
            yield sample_row(result.greedy, number, reference, greedy=True)
        yield from (sample_row(sample, number, reference) for sample in result.sampled)
