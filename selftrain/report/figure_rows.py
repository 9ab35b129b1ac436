"""Rows of a table of metrics, and which of many rounds a table shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from selftrain.report.formatting import Difference, Value
from selftrain.report.round_record import RoundRecord

#: Rounds of a model that a table shows at most.
MAX_ROUNDS = 12


@dataclass(frozen=True, kw_only=True)
class FigureRow:
    """The metrics of one evaluated round, of one model or of all as a team.

    FigureRow(name="llama", round=2, metrics={"greedy": Estimate(...)}, against_base={"greedy": Comparison(...)},
              validation_score=0.61, is_best=True)
    """

    name: str
    round: int
    metrics: Mapping[str, Value]
    against_base: Mapping[str, Difference] = field(default_factory=dict)
    validation_score: float | None = None
    is_best: bool = False


def row_of(record: RoundRecord, name: str, *, is_best: bool = False) -> FigureRow:
    return FigureRow(
        name=name,
        round=record.round,
        metrics=record.metrics,
        against_base=record.against_base,
        validation_score=record.validation_score,
        is_best=is_best,
    )


def spread(rounds: Iterable[int], keep: Iterable[int | None] = (), most: int = MAX_ROUNDS) -> list[int]:
    """At most `most` of the rounds, in order and evenly spread, with the first, the last and those to `keep`."""
    every = sorted(set(rounds))
    if len(every) <= most:
        return every
    places = {round(i * (len(every) - 1) / (most - 1)) for i in range(most)}
    fixed = {0, len(every) - 1} | {every.index(number) for number in keep if number in every}
    for place in sorted(fixed - places):
        # In place of its neighbour, so that there are no more than `most`.
        places.remove(min(places - fixed, key=lambda other: abs(other - place)))
        places.add(place)
    return [every[place] for place in sorted(places)]
