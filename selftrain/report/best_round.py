"""Which round of a run is the best: the decision of `selftrain.loop.best_round`, as reports are given it."""

from __future__ import annotations

from dataclasses import dataclass

from selftrain.report.round_record import ValidatedBy


@dataclass(frozen=True)
class BestRound:
    """Chosen by the score on the validation problems, the mean over the models; never by evaluation problems.

    BestRound(round=2, headline_round=2, validated_by="reward")
    """

    #: The round whose weights are kept as `best`; 0 is the base models, where no round did better.
    round: int
    #: The round that a report is about: the best of those that trained, even where the base models did better. None
    #: where no round trained.
    headline_round: int | None
    #: None without validation problems: then it is the last round that trained.
    validated_by: ValidatedBy | None
    #: How many validation problems there were.
    validation_problems: int | None = None
