"""The best round so far, and its weights."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from selftrain.learner import Learner
from selftrain.record import RunFolder
from selftrain.watch import Probe


@dataclass
class Peak:
    """Keeps the weights of the round with the highest score on D_val, the mean over the models.

    Weights of evaluated rounds are kept anyway. Those of a peak between two evaluations are kept until a higher peak.
    """

    folder: RunFolder
    learners: Sequence[Learner]
    score: float = float("-inf")
    #: A peak whose weights are kept for its sake alone; None where the best round was evaluated.
    unmeasured: int | None = None

    def see(self, number: int, probes: Mapping[str, Probe], evaluated: bool) -> None:
        """
        Args:
            evaluated: whether the round is, so that its weights are kept without us.
        """
        if not probes:
            return
        score = fmean(probe.mean for probe in probes.values())
        # Of equally good rounds an evaluated one is preferred: it costs nothing more.
        if score > self.score or (evaluated and score == self.score):
            self.forget()
            self.score = score
            if not evaluated:
                self.folder.save_weights(number, {learner.name: learner.save for learner in self.learners})
                self.unmeasured = number

    def forget(self) -> None:
        """Removes the weights of a peak that another one has overtaken."""
        if self.unmeasured is not None:
            shutil.rmtree(self.folder.weights(self.unmeasured), ignore_errors=True)
            self.unmeasured = None
