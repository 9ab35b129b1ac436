"""The best round so far, and its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean

from selftrain.loop.probe import Probe


@dataclass
class BestRoundTracker:
    """Keeps the weights of the round with the highest score on D_val, the mean over the models.

    Weights of evaluated rounds are kept anyway. Those of a peak between two evaluations are kept until a higher peak.

    Args:
        drop: removes the weights of a round.
    """

    drop: Callable[[int], None]
    score: float = float("-inf")
    #: A peak whose weights are kept for its sake alone; None where the best round was evaluated.
    unmeasured: int | None = None

    def see(self, number: int, probes: Mapping[str, Probe], evaluated: bool, save: Callable[[], None]) -> None:
        """
        Args:
            evaluated: whether the round is, so that its weights are kept without us.
            save: saves its weights.
        """
        if not probes:
            return
        score = fmean(probe.mean for probe in probes.values())
        # Of equally good rounds an evaluated one is preferred: it costs nothing more.
        if score > self.score or (evaluated and score == self.score):
            overtaken = self.unmeasured
            self.score, self.unmeasured = score, None
            if not evaluated:
                save()
                self.unmeasured = number
            if overtaken is not None:
                self.drop(overtaken)
