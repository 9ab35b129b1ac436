"""Each round against the base model: better, worse or not to be told, and which of the rounds to speak of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from selftrain.report.choice import best_round, headline_round, validated_by
from selftrain.report.records import Line, against_base, difference, is_together, models, of_model, p_value
from selftrain.report.visible import visible

Outcome = Literal["better", "worse", "unclear"]

#: The metric that decides: the first of these that was compared. The other is told beside it.
_PRIMARY = ("greedy", "pass@1")
ALPHA = 0.05
_SAYS = {"better": "beats", "worse": "is worse than", "unclear": "cannot be told from"}


@dataclass(frozen=True)
class Tested:
    """One metric of one round against the base. `p` is Holm's: corrected for all rounds (of all models) compared."""

    metric: str
    comparison: Mapping[str, Any]
    p: float

    @property
    def outcome(self) -> Outcome:
        if self.p >= ALPHA:
            return "unclear"
        return "better" if self.comparison["difference"] > 0 else "worse"


@dataclass(frozen=True)
class Finding:
    """One round of a model against the base model, in the metric that decides, and in pass@1 beside it.

    `who` and `base` are "Round 2" and "the base model", or the names of two models that were compared outside a run.
    """

    line: Line
    first: Tested
    beside: Tested | None
    looks: int
    who: str
    base: str
    why: Literal["best", "last", "largest"] = "best"

    @property
    def metric(self) -> str:
        return self.first.metric

    @property
    def comparison(self) -> Mapping[str, Any]:
        return self.first.comparison

    @property
    def p(self) -> float:
        return self.first.p

    @property
    def outcome(self) -> Outcome:
        """In the metric that decides."""
        return self.first.outcome

    @property
    def tone(self) -> Outcome:
        """What the headline says first. A gain in pass@1 alone is not to read as nothing gained."""
        beside = self.beside.outcome if self.beside else "unclear"
        return beside if self.outcome == "unclear" else self.outcome

    @property
    def headline(self) -> str:
        return " ".join(self.words)

    @property
    def words(self) -> tuple[str, str, str]:
        """Who, what to stress, and the rest."""
        first, beside = self.first, self.beside
        stressed = _SAYS[self.tone]
        if beside is None or beside.outcome in (first.outcome, "unclear"):
            return self.who, stressed, self.base
        if first.outcome == "unclear":
            first, beside = beside, first
        return self.who, stressed, f"{self.base} in {first.metric}, and {_SAYS[beside.outcome]} it in {beside.metric}"

    @property
    def numbers(self) -> str:
        corrected = f" (Holm-corrected for {self.looks} rounds)" if self.looks > 1 else ""
        beside = ""
        if self.beside is not None:
            beside = f"; pass@1 (one drawn answer) {_of(self.beside)},"
        problems = f"{self.comparison['problems']:,} problems"
        return f"{self.metric} {_of(self.first)}{beside} over {problems}{corrected}"


def _of(tested: Tested) -> str:
    return f"{difference(tested.comparison)}, {p_value(tested.p)}"


def chosen_and_last(rounds: Sequence[Line]) -> dict[str, list[Finding]]:
    """For each model the round to speak of, then its last round if that is another.

    The first is the one that the run keeps as `best`: chosen by the validation problems and for all models together,
    without a look at the figures here. Where no round did better than the base it is the best that trained. Without
    validation it is the last round; then the one with the largest difference comes second.
    """
    found, told = _findings(rounds), {}
    number = best_round(rounds) or headline_round(rounds)
    for model in models(rounds):
        if ours := [finding for finding in found if finding.line["model"] == model]:
            largest = replace(max(ours, key=_difference), why="largest" if len(ours) > 1 else "best")
            last = replace(max(ours, key=_number), why="last")
            chosen = next((finding for finding in ours if _number(finding) == number), largest)
            beside = largest if validated_by(rounds) is None else last
            told[model] = [chosen] if _number(chosen) == _number(beside) else [chosen, beside]
    return told


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979): the i-th smallest of m times m − i + 1, never falling, at most 1."""
    corrected, floor = [0.0] * len(ps), 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        floor = max(floor, min(1.0, (len(ps) - rank) * ps[i]))
        corrected[i] = floor
    return corrected


def has_base(rounds: Sequence[Line], model: str) -> bool:
    return any(line["round"] == 0 for line in of_model(rounds, model))


def _findings(rounds: Sequence[Line]) -> list[Finding]:
    single = [line for line in rounds if not is_together(line)]
    metric = next((m for m in _PRIMARY if any(m in against_base(line) for line in single)), "")
    # A round that found nothing to learn from left the model as it was: it is no further look.
    trained = [line for line in single if line.get("training")] or single
    lines = [line for line in trained if metric in against_base(line)]
    firsts = _tested(lines, metric)
    besides = _tested(lines, "pass@1") if metric != "pass@1" else {}
    return [
        Finding(line, firsts[place], besides.get(place), len(lines), *_names(rounds, line))
        for place, line in enumerate(lines)
    ]


def _tested(lines: Sequence[Line], metric: str) -> dict[int, Tested]:
    """Place in `lines` -> the test of this metric, corrected for all of its tests."""
    compared = {place: against_base(line)[metric] for place, line in enumerate(lines) if metric in against_base(line)}
    corrected = holm([comparison["p_value"] for comparison in compared.values()])
    return {
        place: Tested(metric, comparison, p)
        for (place, comparison), p in zip(compared.items(), corrected, strict=True)
    }  # fmt: skip


def _names(rounds: Sequence[Line], line: Line) -> tuple[str, str]:
    if has_base(rounds, line["model"]):
        return f"Round {line['round']}", "the base model"
    return visible(line["model"]), visible(next((b["model"] for b in rounds if b["round"] == 0), "the base model"))


def _number(finding: Finding) -> int:
    return int(finding.line["round"])


def _difference(finding: Finding) -> tuple[float, int]:
    return float(finding.comparison["difference"]), _number(finding)
