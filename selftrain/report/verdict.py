"""One sentence on whether the run helped, and what to hold against that sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from selftrain.report.records import (
    Line,
    accuracies,
    against_base,
    difference,
    metrics_of,
    models,
    number,
    of_model,
    p_value,
    percent,
)

Outcome = Literal["better", "worse", "unclear"]

#: The metric that decides: the first of these that was compared.
_PRIMARY = ("greedy", "pass@1")
_ALPHA = 0.05
#: Below this many problems intervals are too wide for the gains that one round usually brings.
_FEW = 300


@dataclass(frozen=True)
class Finding:
    """A round of a model against the untouched model, in the metric that decides.

    `p` is Holm's: corrected for all the rounds (of all models) that were looked at.
    """

    line: Line
    metric: str
    comparison: Mapping[str, Any]
    p: float
    looks: int

    @property
    def outcome(self) -> Outcome:
        if self.p >= _ALPHA:
            return "unclear"
        return "better" if self.comparison["difference"] > 0 else "worse"

    @property
    def headline(self) -> str:
        name = f"round {self.line['round']}"
        return {
            "better": f"{name.capitalize()} beats the base model",
            "worse": f"{name.capitalize()} is worse than the base model",
            "unclear": f"Cannot tell whether {name} differs from the base model",
        }[self.outcome]

    @property
    def numbers(self) -> str:
        corrected = f" (Holm over {self.looks} rounds)" if self.looks > 1 else ""
        return (
            f"{self.metric} {difference(self.comparison)}, {p_value(self.p)}{corrected} "
            f"over {self.comparison['problems']:,} problems"
        )


def verdict(rounds: Sequence[Line]) -> str:
    """The truth about the gain, a line a model.

    "Round 2 beats the base model: greedy +11.2 points [8.9, 13.5], p < 0.001 over 1,000 problems."

    It speaks of the round with the largest difference, and of the last round where that is another one. The p
    is corrected for the number of rounds compared (Holm 1979); the interval is that of a single comparison.
    """
    by_model = best_and_last(rounds)
    if not by_model:
        return "Nothing to compare yet: no round was evaluated beside the base model."
    return "\n".join(
        (f"{model}: " if len(models(rounds)) > 1 else "")
        + " ".join(f"{finding.headline}: {finding.numbers}." for finding in findings)
        for model, findings in by_model.items()
    )


def best_and_last(rounds: Sequence[Line]) -> dict[str, list[Finding]]:
    """For each model its round with the largest difference, then its last round if that is another."""
    found = _findings(rounds)
    by_model = {}
    for model in models(rounds):
        if ours := [finding for finding in found if finding.line["model"] == model]:
            best = max(ours, key=lambda finding: float(finding.comparison["difference"]))
            last = max(ours, key=lambda finding: int(finding.line["round"]))
            by_model[model] = [best] if best is last else [best, last]
    return by_model


def caveats(rounds: Sequence[Line]) -> list[str]:
    """What a careful reader would hold against the verdict."""
    several = len(models(rounds)) > 1
    return [
        (f"{model}: " if several else "") + caveat
        for model, (finding, *_) in best_and_last(rounds).items()
        for caveat in _caveats(finding, metrics_of(of_model(rounds, model)[0]), accuracies(rounds))
    ]


def _findings(rounds: Sequence[Line]) -> list[Finding]:
    metric = next((m for m in _PRIMARY if any(m in against_base(line) for line in rounds)), None)
    lines = [line for line in rounds if metric in against_base(line)]
    compared = [against_base(line)[metric] for line in lines]
    corrected = holm([comparison["p_value"] for comparison in compared])
    return [
        Finding(line, str(metric), comparison, p, len(lines))
        for line, comparison, p in zip(lines, compared, corrected, strict=True)
    ]


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979): the i-th smallest of m times m − i + 1, never falling, at most 1."""
    corrected, floor = [0.0] * len(ps), 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        floor = max(floor, min(1.0, (len(ps) - rank) * ps[i]))
        corrected[i] = floor
    return corrected


def _caveats(best: Finding, base: Mapping[str, Any], shown: Sequence[str]) -> Iterator[str]:
    name, now = f"round {best.line['round']}", metrics_of(best.line)
    if best.looks > 1 and best.outcome == "better":
        yield (
            f"{name.capitalize()} is the best of {best.looks} by these same problems, which flatters it a little. "
            "An unbiased figure needs problems that took no part in the choice."
        )
    if best.comparison["problems"] < _FEW:
        yield f"{best.comparison['problems']:,} problems are few: only large differences can be told from chance."
    was, became = (of.get("parse_failure_rate", {}).get("value", 0.0) for of in (base, now))
    if was - became > 0.01 and best.comparison["difference"] > 0:
        yield (
            f"Answers that could not be read fell from {percent(was)} % to {percent(became)} %: "
            "part of the gain is form, not better reasoning."
        )
    for metric in shown:
        if metric.startswith("pass@") and metric in (others := against_base(best.line)) and others[metric]["high"] < 0:
            yield f"{metric} fell: {difference(others[metric])}. {name.capitalize()} solves fewer problems in several tries."
    for who, of in (("the base model", base), (name, now)):
        if (unjudged := of.get("unjudged", {})).get("value"):
            yield f"{number(unjudged['value'])} of {unjudged['count']:,} answers of {who} have no verdict and are left out."
