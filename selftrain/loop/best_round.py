"""Decides which round is the best. The only place where that is decided."""

from __future__ import annotations

from collections.abc import Callable

from selftrain.report.best_round import BestRound
from selftrain.report.round_record import ValidatedBy


class BestRoundTracker:
    """The best round is the one with the highest validation score, the mean over the models, of those that trained.

    Of equal rounds an evaluated one is preferred, whose weights are saved anyway; then the later. It has to beat the
    base models, or the best round is 0. Without validation problems it is the last round that trained.

    Weights of evaluated rounds are kept. Those of a best round between two evaluations are kept until a better one.

    Args:
        validated_by: what the validation score is; None without validation problems.
        drop: removes the weights of a round.
    """

    def __init__(self, validated_by: ValidatedBy | None, drop: Callable[[int], None]) -> None:
        self._validated_by, self._drop = validated_by, drop
        #: Of the base models and of the rounds whose weights are kept.
        self._scores: dict[int, float] = {}
        #: The best round so far, if it is not evaluated yet: its weights are kept for its sake alone.
        self.unevaluated: int | None = None

    def add(self, number: int, score: float | None, *, evaluated: bool, save: Callable[[], None]) -> None:
        """
        Args:
            number: 0, or a round that trained.
            score: None without validation problems.
            evaluated: whether the round is, so that its weights are kept anyway.
            save: saves its weights.
        """
        best = max(self._scores.values(), default=float("-inf"))
        is_best = score is not None and (score > best or (evaluated and score == best))
        if evaluated or is_best:
            self._scores[number] = 0.0 if score is None else score
        if is_best:
            overtaken, self.unevaluated = self.unevaluated, None if evaluated else number
            if not evaluated:
                save()
            if overtaken is not None:
                self._drop(overtaken)
                del self._scores[overtaken]

    @property
    def best_trained(self) -> int | None:
        """The best of the rounds that trained, whether or not it beats the base models."""
        return self.decide().headline_round

    def decide(self) -> BestRound:
        trained = [(score, number) for number, score in self._scores.items() if number]
        if not trained:
            return BestRound(0, headline_round=None, validated_by=self._validated_by)
        score, number = max(trained)
        beats_base = self._validated_by is None or score > self._scores.get(0, 0.0)
        return BestRound(number if beats_base else 0, headline_round=number, validated_by=self._validated_by)
