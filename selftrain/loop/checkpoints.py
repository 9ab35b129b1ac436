"""Saves weights and states of optimizers so that a run can go on from them, and goes on from the newest."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from selftrain.loop.learner import Learner, report_facts, report_of
from selftrain.loop.stopping import StopController
from selftrain.storage import Record
from selftrain.training.base import TrainingConfig, TrainingReport

Reports = Mapping[str, TrainingReport | None]


class CheckpointManager:
    """
    A round can be gone on from where all models' weights of it are saved, as `weights` (evaluated rounds, and the best
    on the probe) or as `checkpoint`, and, where the optimizer lives across rounds, its `state`.
    """

    def __init__(
        self, record: Record, learners: Sequence[Learner], training: TrainingConfig, stops: StopController
    ) -> None:
        self._record, self._learners, self._stops = record, learners, stops
        self._spans_run = training.optimizer_spans == "run"
        self._clock = Clock(stops)

    def restore(self) -> int:
        """Loads the newest round that is finished and can be gone on from; gives its number, 0 for none."""
        last = 0
        while self._record.told(last + 1) is not None:
            last += 1
        newest = next((number for number in range(last, 0, -1) if self._can_load(number)), 0)
        if newest:
            self.load(newest)
            self._let_go(newest)
        return newest

    def go_to(self, number: int, *, to_learn: bool = True) -> bool:
        """Loads the weights of a round, and what is needed `to_learn` on from them; says whether they are there."""
        there = number == 0 or (self._can_load(number) if to_learn else self._has_weights(number))
        if number == 0:
            for learner in self._learners:
                learner.load(learner.base, 0)
        elif there:
            self.load(number)
        return there

    def load(self, number: int) -> None:
        for learner in self._learners:
            weights = self._weights(number, learner)
            assert weights is not None
            learner.load(weights, number, self._record.saved(number, "state", learner.name))

    def learnt(self, number: int) -> dict[str, TrainingReport | None]:
        """What the training of a round came to whose weights are saved; loads them. Empty where they are not."""
        if not self._can_load(number):
            return {}
        self.load(number)
        facts = self._record.facts_of(number, "weights") or self._record.facts_of(number, "checkpoint") or {}
        return {name: one and report_of(one) for name, one in facts["reports"].items()}

    def save(self, number: int, reports: Reports, kind: str = "weights") -> None:
        """The state comes first: weights without it could not be gone on from."""
        if self._spans_run:
            self._record.save(number, "state", {one.name: one.trainer.save_state for one in self._learners})
        facts = {"reports": {name: report and report_facts(report) for name, report in reports.items()}}
        self._record.save(number, kind, {one.name: one.save for one in self._learners}, facts)
        self._clock.wind()

    def round_ended(self, number: int, learnt: bool) -> None:
        """Saves a checkpoint where it is time, and lets go of what the newest saved round makes needless."""
        if learnt and not self._can_load(number) and self._clock.due():
            self.save(number, {}, "checkpoint")
        if learnt and self._can_load(number):
            self._let_go(number)

    def of_training(self, number: int, model: str) -> TrainingCheckpoints:
        return TrainingCheckpoints(self._record, number, f"training-{model}-", self._stops)

    def _let_go(self, number: int) -> None:
        """What is saved or remembered to go on from; answers of round 0 stay, later rounds are compared with it."""
        for earlier, kind in self._record.checkpoints():
            if earlier < number or (earlier == number and kind.startswith("training")):
                self._record.drop(earlier, kind)
        self._record.forget_answers(range(1, number + 1))

    def _can_load(self, number: int) -> bool:
        return self._has_weights(number) and (not self._spans_run or self._record.is_saved(number, "state"))

    def _has_weights(self, number: int) -> bool:
        return all(self._weights(number, learner) is not None for learner in self._learners)

    def _weights(self, number: int, learner: Learner) -> Path | None:
        saved = (self._record.saved(number, kind, learner.name) for kind in ("weights", "checkpoint"))
        return next((place for place in saved if place is not None), None)


class Clock:
    """Says when it is time for another checkpoint."""

    def __init__(self, stops: StopController) -> None:
        self._stops = stops
        self.wind()

    def wind(self) -> None:
        self._since = time.monotonic()

    def due(self) -> bool:
        return self._stops.asked or time.monotonic() - self._since >= 60 * self._stops.budget.checkpoint_minutes


class TrainingCheckpoints:
    """Saves a training in the middle, the newest in place of the one before. See `training.base.Checkpoints`."""

    def __init__(self, record: Record, number: int, prefix: str, stops: StopController) -> None:
        self._record, self._number, self._prefix, self._stops = record, number, prefix, stops
        self._clock = Clock(stops)

    @property
    def latest(self) -> Path | None:
        kinds = self._kinds()
        return self._record.saved(self._number, kinds[-1]) if kinds else None

    def due(self) -> bool:
        return self._clock.due()

    def save(self, write: Callable[[Path], None]) -> None:
        earlier = self._kinds()
        last = int(earlier[-1].removeprefix(self._prefix)) if earlier else 0
        self._record.save(self._number, f"{self._prefix}{last + 1:06d}", {"": write})
        for kind in earlier:
            self._record.drop(self._number, kind)
        self._clock.wind()
        self._stops.raise_if_stopping()

    def _kinds(self) -> list[str]:
        found = (kind for number, kind in self._record.checkpoints() if number == self._number)
        return sorted(kind for kind in found if kind.startswith(self._prefix))
