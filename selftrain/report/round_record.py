"""The record of one round of one model: a line of rounds.jsonl."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from selftrain.evaluation.results import Comparison, Estimate, GVGap, Sweep
from selftrain.storage import RunFolder
from selftrain.storage.typed_json import from_plain, to_plain
from selftrain.training.base import TrainingReport

#: What the validation score is: the reward, or agreement with the base models' consensus where no label may be used.
ValidatedBy = Literal["reward", "consensus"]


@dataclass(frozen=True)
class Alarm:
    """What the collapse monitor reports of a model.

    Alarm("llama", severe=True, reason="reward on the probe fell from 0.740 (round 20) to 0.660 (p = 0.004)")
    """

    model: str
    #: A collapse, rather than a sign of one.
    severe: bool
    reason: str


@dataclass(frozen=True)
class SamplingSummary:
    """One model's training samples of a round, in numbers.

    SamplingSummary(samples=8000, kept=4190, drop_reasons={"wrong": 3000, "duplicate": 810}, answers_extracted=7801,
                    mean_reward=0.61, solved_problems=812, problems=1000, tokens=510000, mean_length=63.8, truncated=12)
    """

    samples: int
    kept: int
    #: Why the others were dropped -> how many.
    drop_reasons: Mapping[str, int]
    #: Samples from which the grader extracted an answer.
    answers_extracted: int
    #: Over as many samples of each problem as every problem has; None where none is graded.
    mean_reward: float | None
    #: Problems with a right sample; None where none is graded.
    solved_problems: int | None
    problems: int
    #: In all samples, end tokens included.
    tokens: int
    #: Tokens of a sample; None where there is none.
    mean_length: float | None
    #: Samples cut off at the length limit.
    truncated: int
    #: Code: rewarded samples run on the held-back tests (which give no reward), those that fail them, and their share.
    held_back_graded: int | None = None
    held_back_failed: int | None = None
    held_back_gap: float | None = None

    @classmethod
    def total(cls, summaries: Sequence[SamplingSummary]) -> SamplingSummary:
        """Of several rounds: what can be added up."""
        reasons = Counter[str]()
        for summary in summaries:
            reasons.update(summary.drop_reasons)
        samples, tokens = sum(s.samples for s in summaries), sum(s.tokens for s in summaries)
        return cls(
            samples=samples,
            kept=sum(s.kept for s in summaries),
            drop_reasons=reasons,
            answers_extracted=sum(s.answers_extracted for s in summaries),
            mean_reward=None,
            solved_problems=None,
            problems=sum(s.problems for s in summaries),
            tokens=tokens,
            mean_length=tokens / samples if samples else None,
            truncated=sum(s.truncated for s in summaries),
        )


@dataclass(frozen=True, kw_only=True)
class RoundRecord:
    """One round of one model, or of several models as a team. The field names are the keys of rounds.jsonl.

    What was not measured has its default and no key: of many rounds only some are evaluated.

    RoundRecord(round=2, model="llama", weights="weights/round-0002", metrics={"greedy": Estimate(0.57, ...)},
                against_base={"greedy": Comparison(...)}, sampling=SamplingSummary(...), training=TrainingReport(...),
                validation_score=0.61, validated_by="reward", probe={"mean_length": 31.0, ...})
    """

    #: 0 is the base model.
    round: int
    #: Of a team "aggregate" (they answer in turn) or "majority" (they vote).
    model: str
    team: bool = False
    #: Folder of the weights, of evaluated rounds; the base model's where nothing was trained yet.
    weights: str = ""
    #: Metrics of the evaluation problems; see `selftrain.evaluation.metrics.measure`.
    metrics: Mapping[str, Estimate] = field(default_factory=dict)
    #: Metric -> paired comparison with round 0.
    against_base: Mapping[str, Comparison] = field(default_factory=dict)
    #: Round 0: the base model by temperature.
    sweep: Sweep | None = None
    #: Later rounds: paired comparison with the best-decoded base model of that sweep.
    against_best_decoded: Mapping[str, Comparison] = field(default_factory=dict)
    gv_gap: GVGap | None = None
    sampling: SamplingSummary | None = None
    #: What the method reports of the round, the same for each of its models.
    method_metrics: Mapping[str, float] = field(default_factory=dict)
    #: None where nothing was trained.
    training: TrainingReport | None = None
    #: Score on the validation problems (D_val), by which the best round is chosen.
    validation_score: float | None = None
    validated_by: ValidatedBy | None = None
    #: The collapse monitor's signals: `selftrain.loop.probe.signals`.
    probe: Mapping[str, float] = field(default_factory=dict)
    alarms: tuple[Alarm, ...] = ()
    #: Round 0: what every report has to say first, such as that model code ran unsandboxed.
    unsafe: str = ""
    #: Seconds by stage, on the first record of a round. From timings.jsonl: they differ where all else is the same.
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """As a line of rounds.jsonl: strict JSON, without what was not measured."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_dict(cls, line: Mapping[str, Any], where: str = "a line of rounds.jsonl") -> RoundRecord:
        """
        Raises:
            RunError: a key is unknown or missing, or its value is of another type.
        """
        return from_plain(cls, line, where)


def read_rounds(folder: RunFolder) -> tuple[RoundRecord, ...]:
    """The records of a run, by round and model.

    Raises:
        RunError: rounds.jsonl is not what this version writes.
    """
    path = folder.path / "rounds.jsonl"
    return tuple(
        RoundRecord.from_dict(line, f"round {line.get('round')} of {line.get('model')!r} in {path}")
        for line in folder.rounds()
    )
