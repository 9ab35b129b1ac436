"""One sentence on whether the run helped, and what to hold against that sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from selftrain.report.records import (
    Line,
    against_base,
    difference,
    metrics_of,
    models,
    number,
    of_model,
    p_value,
    percent,
)
from selftrain.report.visible import visible

Outcome = Literal["better", "worse", "unclear"]

#: The metric that decides: the first of these that was compared.
_PRIMARY = ("greedy", "pass@1")
_ALPHA = 0.05
NOTHING = "Nothing to compare yet: no round was evaluated beside the base model."
#: Below this many problems intervals are wider than the gain that one round usually brings.
_FEW = 300


@dataclass(frozen=True)
class Finding:
    """One round of a model against the base model, in the metric that decides.

    `p` is Holm's: corrected for all the rounds (of all models) that were compared. `who` and `base` are
    "Round 2" and "the base model", or the names of two models that were compared outside a run.
    """

    line: Line
    metric: str
    comparison: Mapping[str, Any]
    p: float
    looks: int
    who: str
    base: str

    @property
    def outcome(self) -> Outcome:
        if self.p >= _ALPHA:
            return "unclear"
        return "better" if self.comparison["difference"] > 0 else "worse"

    @property
    def headline(self) -> str:
        says = {"better": "beats", "worse": "is worse than", "unclear": "cannot be told from"}
        return f"{self.who} {says[self.outcome]} {self.base}"

    @property
    def numbers(self) -> str:
        corrected = f" (Holm-corrected for {self.looks} rounds)" if self.looks > 1 else ""
        problems = f"{self.comparison['problems']:,} problems"
        return f"{self.metric} {difference(self.comparison)}, {p_value(self.p)} over {problems}{corrected}"


def verdict(rounds: Sequence[Line]) -> str:
    """The truth about the gain, a line a model.

    "Round 2 beats the base model: greedy +11.2 points [8.9, 13.5], p < 0.001 over 1,000 problems."

    The p is corrected for the number of rounds compared (Holm 1979); the interval is that of one comparison.
    """
    several = len(models(rounds)) > 1
    lines = (
        (f"{visible(model)}: " if several and _has_base(rounds, model) else "")
        + " ".join(f"{finding.headline}: {finding.numbers}." for finding in findings)
        for model, findings in chosen_and_last(rounds).items()
    )
    return "\n".join(lines) or NOTHING


def chosen_and_last(rounds: Sequence[Line]) -> dict[str, list[Finding]]:
    """For each model the round to speak of, then its last round if that is another.

    It is the one with the highest reward on the validation problems (of equals the later), which is a choice made
    without a look at the figures here. Without validation it is the one with the largest difference.
    """
    found, by_model = _findings(rounds), {}
    for model in models(rounds):
        if ours := [finding for finding in found if finding.line["model"] == model]:
            chosen = max(ours, key=_validation if _is_validated(ours) else _difference)
            last = max(ours, key=lambda finding: int(finding.line["round"]))
            by_model[model] = [chosen] if chosen is last else [chosen, last]
    return by_model


def caveats(rounds: Sequence[Line]) -> list[str]:
    """What a careful reader would hold against the verdict."""
    several = len(models(rounds)) > 1
    found = []
    for model, (finding, *_) in chosen_and_last(rounds).items():
        prefix = f"{visible(model)}: " if several and _has_base(rounds, model) else ""
        base = next((line for line in (*of_model(rounds, model), *rounds) if line["round"] == 0), {})
        found += [prefix + caveat for caveat in (*_choice(finding, base), *_measurement(finding, metrics_of(base)))]
    return found


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979): the i-th smallest of m times m − i + 1, never falling, at most 1."""
    corrected, floor = [0.0] * len(ps), 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        floor = max(floor, min(1.0, (len(ps) - rank) * ps[i]))
        corrected[i] = floor
    return corrected


def _findings(rounds: Sequence[Line]) -> list[Finding]:
    metric = next((m for m in _PRIMARY if any(m in against_base(line) for line in rounds)), "")
    # A round that found nothing to learn from left the model as it was: it is no further look.
    trained = [line for line in rounds if line.get("learning")] or rounds
    lines = [line for line in trained if metric in against_base(line)]
    compared = [against_base(line)[metric] for line in lines]
    corrected = holm([comparison["p_value"] for comparison in compared])
    return [
        Finding(line, metric, comparison, p, len(lines), *_names(rounds, line))
        for line, comparison, p in zip(lines, compared, corrected, strict=True)
    ]


def _names(rounds: Sequence[Line], line: Line) -> tuple[str, str]:
    if _has_base(rounds, line["model"]):
        return f"Round {line['round']}", "the base model"
    return visible(line["model"]), visible(next((b["model"] for b in rounds if b["round"] == 0), "the base model"))


def _has_base(rounds: Sequence[Line], model: str) -> bool:
    return any(line["round"] == 0 for line in of_model(rounds, model))


def _is_validated(findings: Sequence[Finding]) -> bool:
    return all("validation" in finding.line for finding in findings)


def _validation(finding: Finding) -> tuple[float, int]:
    return float(finding.line["validation"]), int(finding.line["round"])


def _difference(finding: Finding) -> tuple[float, int]:
    return float(finding.comparison["difference"]), int(finding.line["round"])


def _choice(chosen: Finding, base: Line) -> Iterator[str]:
    """How the round came to be spoken of."""
    if "validation" not in chosen.line:
        if chosen.looks > 1 and chosen.outcome == "better":
            yield (
                f"{chosen.who} was picked as the best by these same problems, which flatters it a little. "
                "An unbiased figure needs problems that took no part in the choice."
            )
    elif base.get("validation", -1.0) >= chosen.line["validation"]:
        yield "On the validation problems no round did better than the base model."


def _measurement(chosen: Finding, base: Mapping[str, Any]) -> Iterator[str]:
    """What the problems and the judge leave open."""
    now = metrics_of(chosen.line)
    if chosen.comparison["problems"] < _FEW:
        yield f"{chosen.comparison['problems']:,} problems are few: only large differences can be told from chance."
    was, became = (of.get("parse_failure_rate", {}).get("value", 0.0) for of in (base, now))
    if was - became > 0.01 and chosen.comparison["difference"] > 0:
        yield (
            f"Answers that could not be read fell from {percent(was)} % to {percent(became)} %: "
            "part of any gain may be form rather than reasoning."
        )
    for metric, comparison in against_base(chosen.line).items():
        if metric.startswith("pass@") and metric != chosen.metric and comparison["high"] < 0:
            yield f"{metric} fell: {difference(comparison)}. Given several tries, {chosen.who} solves fewer problems."
    for who, of in ((chosen.base, base), (chosen.who, now)):
        if (unjudged := of.get("unjudged", {})).get("value"):
            answers = f"{number(unjudged['value'])} of {unjudged['count']:,} answers"
            yield f"No verdict on {answers} of {who}: the judge failed, and they are left out."
