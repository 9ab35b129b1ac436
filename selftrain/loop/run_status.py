"""The one line about a run as a whole that stands beside the work of the moment."""

from __future__ import annotations

from dataclasses import dataclass, field

from selftrain.loop.forecast import Forecast
from selftrain.loop.progress import Phase
from selftrain.loop.stopwatch import Stopwatch


@dataclass
class RunStatus:
    """round 1 of 2, validation 0.867 (base 0.800), about 6 min left"""

    forecast: Forecast
    #: Of the stages of the round.
    seconds: Stopwatch
    num_rounds: int
    number: int = 0
    #: Validation scores by round, means over the models.
    scores: dict[int, float] = field(default_factory=dict)

    def __call__(self, phase: Phase) -> str:
        """
        Args:
            phase: that is running.
        """
        parts = [f"round {self.number} of {self.num_rounds}", self._validation()]
        return ", ".join(part for part in [*parts, self.forecast.left(self.number, self.seconds, phase)] if part)

    def validated(self, number: int, score: float | None) -> None:
        if score is not None:
            self.scores[number] = score

    def _validation(self) -> str:
        if not self.scores:
            return ""
        newest, base = self.scores[max(self.scores)], self.scores.get(0)
        beside = f" (base {base:.3f})" if base is not None and len(self.scores) > 1 else ""
        return f"validation {newest:.3f}{beside}"
