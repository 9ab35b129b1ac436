"""Which round of a run is the best one, and by what. The run keeps its weights and the report speaks of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean

from selftrain.report.records import Line, is_together, models

#: Rounds of a model that a table shows at most.
ROWS = 12


def best_round(rounds: Sequence[Line]) -> int:
    """Chosen by the score on D_val, the mean over the models, never by the evaluation problems.

    Only rounds whose weights were saved stand to choice. Of equal ones it is the later; but a round has to do better
    than the untouched models, or it is 0. Without D_val it is the last round that trained.
    """
    scores = _scores(rounds)
    base_models, top = scores.get(0, 0.0), headline_round(rounds)
    return top if top is not None and (validated_by(rounds) is None or scores[top] > base_models) else 0


def headline_round(rounds: Sequence[Line]) -> int | None:
    """The best of the rounds that trained, even where the untouched models did better. None where none trained."""
    trained = [(score, number) for number, score in _scores(rounds).items() if number]
    return max(trained)[1] if trained else None


def validated_by(rounds: Iterable[Line]) -> str | None:
    """ "reward", or "consensus" where no label was looked at; None without D_val."""
    return next((line.get("validated_by", "reward") for line in rounds if "validation" in line), None)


def score_name(rounds: Sequence[Line]) -> str:
    """What the score on D_val is of."""
    if validated_by(rounds) == "consensus":
        return f"agreement with the consensus of the untouched model{'s' * (len(models(rounds)) > 1)}"
    return "reward"


def chosen_by(rounds: Sequence[Line]) -> str:
    """How the best round was chosen, in words that follow "chosen as"."""
    if validated_by(rounds) is None:
        return "the last one that trained: there is no D_val to choose by"
    mean = ", the mean over the models" if len(models(rounds)) > 1 else ""
    return f"the one with the highest {score_name(rounds)} on D_val{mean}"


def thinned(numbers: Iterable[int], keep: Iterable[int] = (), most: int = ROWS) -> list[int]:
    """At most `most` of them, in order and evenly spread, with the first, the last and those to `keep`."""
    every = sorted(set(numbers))
    if len(every) <= most:
        return every
    places = {round(i * (len(every) - 1) / (most - 1)) for i in range(most)}
    fixed = {0, len(every) - 1} | {every.index(number) for number in keep if number in every}
    for place in sorted(fixed - places):
        # In place of its neighbour, so that there are no more than asked for.
        places.remove(min(places - fixed, key=lambda other: abs(other - place)))
        places.add(place)
    return [every[place] for place in sorted(places)]


def _scores(rounds: Iterable[Line]) -> dict[int, float]:
    """Round -> mean score on D_val over the models, for the untouched models and the rounds that trained any."""
    scores, trained = defaultdict(list), {0}
    for line in rounds:
        if "weights" in line and not is_together(line):
            scores[int(line["round"])].append(float(line.get("validation", 0.0)))
            trained |= {int(line["round"])} if line.get("training") else set()
    return {number: fmean(found) for number, found in scores.items() if number in trained}
