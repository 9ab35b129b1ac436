"""Trainings and rounds that were given up on the word of a few validation problems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from selftrain.report.history import RunHistory
from selftrain.report.round_record import RoundRecord
from selftrain.report.visible import visible

#: Above this many validation problems what was given up for a small difference was hardly better.
_FEW = 100
#: Of fewer net changes no exact test finds a difference, whatever the number of problems: 2 / 2**5 is above 0.05.
_TELLING = 6
_CURE = "Hold out more with --validation_size"


def early_stopping_caveat(records: Iterable[RoundRecord], problems: int) -> str:
    """
    "Early stopping went back to epoch 0 of 3 (round 1) ..."; empty where it did not, or had reason to.

    Args:
        problems: validation problems that the epochs were compared on.
    """
    records = list(records)
    several = len({record.model for record in records if not record.team}) > 1
    back = [
        f"to epoch {one.best_epoch} of {one.epochs} in round {record.round}"
        + f" of {visible(record.model)}" * several
        + ", the weights that it started from" * (one.best_epoch == 0)
        for record in records
        if (one := record.training) is not None
        and one.validation_metric
        and one.best_epoch < one.epochs
        and _is_chance(one.validation_metric[one.best_epoch] - one.validation_metric[-1], problems)
    ]
    if not back:
        return ""
    return (
        f"Early stopping went back {'; '.join(back)}, by the answers to {problems:,} validation "
        f"problem{'s' * (problems > 1)}: too few to tell such a difference from chance. {_CURE}, "
        "or keep the last epoch with --early_stopping off."
    )


def chosen_by_few(history: RunHistory) -> Iterator[str]:
    """Where the best round is an earlier one, or the base model, by next to nothing."""
    best, scores = history.best, _scores(history)
    if best is None or best.validation_problems is None or not (trained := [n for n in scores if n]):
        return
    last = max(trained)
    if best.round == last or best.round not in scores:
        return
    if _is_chance(scores[best.round] - scores[last], best.validation_problems):
        kept = f"round {best.round}" if best.round else f"the base model{'s' * (len(history.models) > 1)}"
        problems = f"{best.validation_problems:,} problem{'s' * (best.validation_problems > 1)}"
        yield (
            f"Validation chose {kept} rather than round {last} by the answers to {problems}: "
            f"too few to tell such a difference from chance. {_CURE}."
        )


def _is_chance(ahead: float, problems: int) -> bool:
    return problems < _FEW and round(ahead * problems) < _TELLING


def _scores(history: RunHistory) -> dict[int, float]:
    """Round -> validation score, the mean over the models, of round 0 and of those that trained."""
    found: dict[int, list[float]] = {}
    for record in history.records:
        if record.validation_score is not None and (record.training is not None or not record.round):
            found.setdefault(record.round, []).append(record.validation_score)
    return {number: sum(each) / len(each) for number, each in found.items()}
