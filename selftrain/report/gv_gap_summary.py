"""Two measurements that stand beside the accuracies: the base model decoded well, and the generator-verifier gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from selftrain.evaluation.results import Estimate, reduction
from selftrain.report.choice import best_round, headline_round
from selftrain.report.records import Line, by_model, estimate, models, number, percent, points, tested
from selftrain.report.visible import visible


def decoded_sentences(rounds: Sequence[Line]) -> list[str]:
    """The base model at its best temperature, and the round to speak of against that, whichever way it falls."""
    spoken, said = best_round(rounds) or headline_round(rounds), []
    for model, lines in by_model(rounds).items():
        swept = next((line["sweep"] for line in lines if line.get("sweep")), None)
        if swept is None:
            continue
        whose = f"{visible(model)}, " if len(models(rounds)) > 1 else ""
        at = " and ".join(f"{temperature:g}" for temperature in dict.fromkeys(swept["chosen"]))
        count = f"{swept['estimate']['count']:,}"
        said.append(
            f"{whose}best-decoded base: pass@1 {estimate('pass@1', swept['estimate'])} % at T {at}, "
            f"over {count} problems"
        )
        after = next((line for line in lines if line["round"] == spoken), {})
        said += [
            f"{whose}round {spoken}: {visible(name)}: {percent(found['new'])} %, {tested(found)}"
            for name, found in (after.get("against_best_decoded") or {}).items()
        ]
    return said


@dataclass(frozen=True)
class Gap:
    """The generator-verifier gap of one model, or the mean of several, before and after."""

    name: str
    before: Mapping[str, Any]
    after: Mapping[str, Any] | None
    round: int | None
    absolute: float | None = None
    percent: float | None = None
    why_no_percent: str | None = None

    @property
    def sentence(self) -> str:
        said = f"{visible(self.name)}, generator-verifier gap: {gap_points(self.before['gap'])} before"
        if self.after is None or self.absolute is None:
            return said
        said += f", {gap_points(self.after['gap'])} after round {self.round}: {self.change}"
        return said + (f" (no percentage: {self.why_no_percent})" if self.why_no_percent else "")

    @property
    def change(self) -> str:
        """ "smaller by 1.9 points (13 %)" """
        if self.absolute is None:
            return "–"
        word = "smaller" if self.absolute >= 0 else "larger"
        share = f" ({number(abs(self.percent), '.0f')} %)" if self.percent is not None else ""
        return f"{word} by {number(100 * abs(self.absolute), '.1f')} points{share}"


def gap_points(of: Mapping[str, Any]) -> str:
    """+11.5 points [8.1, 14.9]"""
    return f"{points(of['value'])} points [{percent(of['low'])}, {percent(of['high'])}]"


def gaps(rounds: Sequence[Line]) -> list[Gap]:
    """Before and after, of each model and on average; in per cent only as `selftrain.evaluation.reduction` allows.

    The average's interval is the mean of the models' own. That is wider than the right one, which would need the
    answers, so a percentage is held back too often rather than too rarely.
    """
    spoken, found = best_round(rounds) or headline_round(rounds), []
    for model, lines in by_model(rounds).items():
        measured = {int(line["round"]): line["gv_gap"] for line in lines if line.get("gv_gap")}
        if 0 in measured:
            found.append(_gap(model, measured[0], measured.get(spoken or 0) if spoken else None, spoken))
    if len(found) > 1:
        afters = [gap.after for gap in found if gap.after is not None]
        after = _mean(afters) if len(afters) == len(found) else None
        found.append(_gap(f"mean of the {len(found)} models", _mean([gap.before for gap in found]), after, spoken))
    return found


def _gap(name: str, before: Mapping[str, Any], after: Mapping[str, Any] | None, spoken: int | None) -> Gap:
    if after is None:
        return Gap(name, before, None, None)
    shrunk = reduction(Estimate(**before["gap"]), Estimate(**after["gap"]))
    return Gap(name, before, after, spoken, shrunk.absolute, shrunk.percent, shrunk.why_no_percent)


def _mean(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    verifier = [of["acc_gap_verify"] for of in found]
    return {
        "accuracy": fmean(of["accuracy"] for of in found),
        "gap": {key: fmean(of["gap"][key] for of in found) for key in ("value", "low", "high")}
        | {"count": min(of["gap"]["count"] for of in found)},
        "acc_gap_verify": None if None in verifier else fmean(verifier),
        "gap_unc": fmean(of["gap_unc"] for of in found),
    }
