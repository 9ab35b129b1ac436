"""Several models of one run: as a team, and on average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from selftrain.report.figure_rows import FigureRow, row_of
from selftrain.report.formatting import central, change, percent, points, round_name, tested
from selftrain.report.history import RunHistory, accuracies_in
from selftrain.report.round_record import RoundRecord

MEAN = "mean of the models"
_NAMES = {"aggregate": "all in turn: the last answer", "majority": "majority vote of their solo answers"}


def team_name(model: str) -> str:
    return _NAMES.get(model, model)


def team_rows(history: RunHistory) -> dict[str, list[FigureRow]]:
    """By name: in turn, by vote, and the plain mean of the models. Empty for one model."""
    found: dict[str, list[FigureRow]] = {}
    for record in history.evaluated:
        if record.team:
            name = team_name(record.model)
            found.setdefault(name, []).append(row_of(record, name))
    if means := mean_rows(history):
        found[MEAN] = means
    return found


def mean_rows(history: RunHistory) -> list[FigureRow]:
    """Means of the models' accuracies and differences, for each round in which all of several were evaluated.

    Without intervals and tests, which would need the paired responses.
    """
    by_round: dict[int, list[RoundRecord]] = {}
    for record in history.evaluated:
        if not record.team:
            by_round.setdefault(record.round, []).append(record)
    models = len(history.models)
    if models < 2 or len(by_round.get(0, [])) < models:
        return []
    return [_mean(number, records) for number, records in sorted(by_round.items()) if len(records) == models]


def _mean(number: int, records: Sequence[RoundRecord]) -> FigureRow:
    shared = [metric for metric in accuracies_in(records) if all(metric in record.metrics for record in records)]
    compared = [metric for metric in shared if all(metric in record.against_base for record in records)]
    return FigureRow(
        name=MEAN,
        round=number,
        metrics={metric: fmean(record.metrics[metric].value for record in records) for metric in shared},
        against_base={metric: fmean(r.against_base[metric].difference for r in records) for metric in compared},
    )


def mean_sentence(history: RunHistory) -> str:
    """ "mean of the 3 models, round 3: greedy +1.2 points (to 76.1 %), pass@1 ...": "" where there is none."""
    row = next((row for row in mean_rows(history) if row.round == history.headline_round), None)
    if row is None:
        return ""
    changes = [
        f"{metric} {points(change(row.against_base[metric]))} points (to {percent(central(row.metrics[metric]))} %)"
        for metric in row.against_base
        if metric in ("greedy", "pass@1")
    ]
    return f"mean of the {len(history.models)} models, {round_name(row.round)}: {'; '.join(changes)}" if changes else ""


def team_sentences(history: RunHistory) -> list[str]:
    """How accurate the models are as a team before and after, and how far above their mean that is."""
    means = {row.round: row for row in mean_rows(history)}
    sentences = []
    by_model: dict[str, list[RoundRecord]] = {}
    for record in history.evaluated:
        if record.team:
            by_model.setdefault(record.model, []).append(record)
    for model, records in by_model.items():
        after = next((r for r in records if r.round == history.headline_round and "greedy" in r.against_base), None)
        if after is None:
            continue
        greedy = after.against_base["greedy"]
        sentence = (
            f"{team_name(model)}: {percent(greedy.base)} % greedy before, "
            f"{percent(greedy.new)} % after round {after.round} ({tested(greedy)})"
        )
        gaps = [_above_mean(record, means) for record in (records[0], after)]
        if None not in gaps:
            sentence += f"; above the mean of the models by {gaps[0]} before, {gaps[1]} after"
        sentences.append(sentence)
    return sentences


def _above_mean(record: RoundRecord, means: Mapping[int, FigureRow]) -> str | None:
    mean, greedy = means.get(record.round), record.metrics.get("greedy")
    if mean is None or greedy is None or "greedy" not in mean.metrics:
        return None
    return f"{points(greedy.value - central(mean.metrics['greedy']))} points"
