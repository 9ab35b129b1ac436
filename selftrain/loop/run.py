"""What a run is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from selftrain.evaluation import EvalConfig
from selftrain.loop.collapse_monitor import MonitorConfig
from selftrain.loop.learner import Learner
from selftrain.loop.progress import Progress
from selftrain.loop.run_graders import RunGraders
from selftrain.loop.stopping import StopController
from selftrain.methods.base import Method
from selftrain.problems.splits import DataSplits
from selftrain.report.round_record import RoundRecord
from selftrain.storage import Record
from selftrain.training.base import TrainingConfig
from selftrain.types import Sample, Sampler


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """
    RunSettings(method=RestEM(), training=RestEM.training, evaluation=RestEM.evaluation, monitor=MonitorConfig(),
                seed=42)
    """

    method: Method
    training: TrainingConfig
    evaluation: EvalConfig
    monitor: MonitorConfig
    seed: int
    #: Problems collected at once, where the method collects by problem.
    problems_at_once: int = 512


class Observer(Protocol):
    """Is shown what a run comes to. What it raises stops the run."""

    def see(self, step: str, records: Sequence[RoundRecord]) -> None:
        """
        Args:
            step: "round-0002", or "late" for an evaluation after the last round. After a resume it may come again.
            records: one for each model, and for several as a team; without seconds.
        """
        ...

    def see_samples(self, number: int, samples: Sequence[Sample]) -> None:
        """
        Args:
            number: of the round, which is not finished.
            samples: of some of its problems, all that were sampled to train on. After a resume they may come again.
        """
        ...


@dataclass(frozen=True)
class RunContext:
    """Where a run is recorded, reports its progress, and is told to stop."""

    record: Record
    progress: Progress
    stops: StopController


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of one method, ready to start."""

    settings: RunSettings
    context: RunContext
    learners: Sequence[Learner]
    splits: DataSplits
    graders: RunGraders
    #: Samples from the weights before round 1, in the order of `learners`; loaded when first called.
    base_models: Callable[[], Sequence[Sampler]] = tuple
