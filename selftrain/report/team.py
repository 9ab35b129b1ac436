"""Several models of one run: their mean, and what they come to together."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from selftrain.report.choice import best_round, headline_round
from selftrain.report.records import (
    Line,
    against_base,
    all_metrics,
    evaluated,
    is_accuracy,
    is_together,
    metrics_of,
    models,
    name_of,
    percent,
    points,
    round_name,
    tested,
)

MEAN = "mean of the models"


def together(rounds: Sequence[Line]) -> dict[str, list[Line]]:
    """The lines of all models together, by name: in turn, by vote, and as a plain mean. Empty for one model."""
    found: dict[str, list[Line]] = {}
    for line in [*(line for line in evaluated(rounds) if is_together(line)), *mean_lines(rounds)]:
        found.setdefault(name_of(line), []).append(line)
    return found


def mean_lines(rounds: Sequence[Line]) -> list[Line]:
    """For each round that all of several models were evaluated in: the means of their accuracies and differences.

    No intervals and no tests: they would need the paired answers, which the lines do not hold.
    """
    names = models(rounds)
    by_round: dict[int, list[Line]] = {}
    for line in evaluated(rounds):
        if not is_together(line):
            by_round.setdefault(int(line["round"]), []).append(line)
    if len(names) < 2 or len(by_round.get(0, [])) < len(names):
        return []
    return [_mean(number, lines) for number, lines in sorted(by_round.items()) if len(lines) == len(names)]


def _mean(number: int, lines: Sequence[Line]) -> Line:
    every = [metric for metric in all_metrics(lines) if is_accuracy(metric)]
    shared = [metric for metric in every if all(metric in metrics_of(one) for one in lines)]
    compared = [metric for metric in shared if all(metric in against_base(line) for line in lines)]
    return {
        "round": number,
        "model": MEAN,
        "together": True,
        "metrics": {metric: {"value": fmean(metrics_of(one)[metric]["value"] for one in lines)} for metric in shared},
        "against_base": {
            metric: {"difference": fmean(against_base(line)[metric]["difference"] for line in lines)}
            for metric in compared
        },
    }


def mean_sentence(rounds: Sequence[Line]) -> str:
    """ "mean of the 3 models, round 3: greedy +1.2 points (to 76.1 %), pass@1 ...": "" where there is none."""
    number = best_round(rounds) or headline_round(rounds)
    line = next((line for line in mean_lines(rounds) if line["round"] == number), None)
    if line is None:
        return ""
    said = [
        f"{metric} {points(found['difference'])} points (to {percent(metrics_of(line)[metric]['value'])} %)"
        for metric, found in against_base(line).items()
        if metric in ("greedy", "pass@1")
    ]
    return f"mean of the {len(models(rounds))} models, {round_name(line['round'])}: {'; '.join(said)}" if said else ""


def team_sentences(rounds: Sequence[Line]) -> list[str]:
    """What the models come to together before and after, and how far above their mean that is."""
    number = best_round(rounds) or headline_round(rounds)
    found, said = together(rounds), []
    means = {line["round"]: _greedy(line) for line in found.get(MEAN, [])}
    for name, lines in found.items():
        after = next((line for line in lines if line["round"] == number and "greedy" in against_base(line)), None)
        if name == MEAN or after is None:
            continue
        change = against_base(after)["greedy"]
        sentence = f"{name}: {percent(change['base'])} % greedy before, {percent(change['new'])} % after round {number}"
        sentence += f" ({tested(change)})"
        gaps = [_above(line, means) for line in (lines[0], after)]
        if None not in gaps:
            sentence += f"; above the mean of the models by {gaps[0]} before, {gaps[1]} after"
        said.append(sentence)
    return said


def _greedy(line: Line) -> Any:
    return metrics_of(line).get("greedy", {}).get("value")


def _above(line: Line, means: dict[Any, Any]) -> str | None:
    mean, here = means.get(line["round"]), _greedy(line)
    return None if mean is None or here is None else f"{points(here - mean)} points"
