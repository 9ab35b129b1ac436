"""In a few sentences whether the run helped, what to hold against that, and what the watch said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selftrain.report.choice import best_round, headline_round, score_name, validated_by
from selftrain.report.findings import ALPHA, Finding, chosen_and_last, has_base
from selftrain.report.records import (
    Line,
    accuracies,
    against_base,
    by_model,
    difference,
    evaluated,
    is_together,
    metrics_of,
    models,
    number,
    of_model,
    percent,
    tested,
)
from selftrain.report.team import mean_sentence
from selftrain.report.visible import visible

NOTHING = "Nothing to compare yet: no round was evaluated beside the base model."
BLIND = "Accuracy was not measured: no evaluation problem has an answer."
#: What can be said without labels: metric, its name, its unit.
_WITHOUT_LABELS = (("agreement", "agreement of a model's own answers", " %"), ("token_entropy", "entropy", " nats"),
                   ("parse_failure_rate", "answers that could not be read", " %"))  # fmt: skip
#: Below this many problems intervals are wider than the gain that one round usually brings.
_FEW = 300


def verdict(rounds: Sequence[Line]) -> str:
    """The truth about the gain, a line a model, and one for the mean of several.

    "Round 2 beats the base model: greedy +11.2 points [8.9, 13.5], p < 0.001 over 1,000 problems."

    The p is corrected for the number of rounds compared (Holm 1979); the interval is that of one comparison.
    """
    if is_blind(rounds):
        return "\n".join([BLIND, *without_labels(rounds)])
    several = len(models(rounds)) > 1
    lines = [
        (f"{visible(model)}: " if several and has_base(rounds, model) else "")
        + " ".join(f"{finding.headline}: {finding.numbers}." for finding in findings)
        for model, findings in chosen_and_last(rounds).items()
    ]
    if mean := mean_sentence(rounds):
        lines.append(f"{mean[0].upper()}{mean[1:]}. The mean has no test here: each model has its own.")
    return "\n".join(lines) or NOTHING


def is_blind(rounds: Sequence[Line]) -> bool:
    """Was a trained round evaluated, and nothing of it judged?"""
    found = evaluated(rounds)
    return any(line["round"] for line in found) and not accuracies(found)


def without_labels(rounds: Sequence[Line]) -> list[str]:
    """What changed between the base and the round to speak of, as far as no label is needed for it."""
    spoken, said = best_round(rounds) or headline_round(rounds), []
    for model, lines in by_model(evaluated(rounds)).items():
        before, after = lines[0], next((line for line in lines if line["round"] == spoken), lines[-1])
        changes = [
            f"{name} {percent(was)} % → {percent(now)} %" if unit == " %" else f"{name} {was:.3f} → {now:.3f}{unit}"
            for name, unit, was, now in _changes(rounds, before, after)
        ]
        if before is not after and changes:
            said.append(f"{visible(model)}, base → round {after['round']}: {'; '.join(changes)}.")
    return [*said, "That answers agree does not make them right: this tells of a collapse, not of a gain."]


def _changes(rounds: Sequence[Line], before: Line, after: Line) -> Iterator[tuple[str, str, float, float]]:
    if "validation" in before and "validation" in after:
        yield f"{score_name(rounds)} on D_val", " %", before["validation"], after["validation"]
    for metric, name, unit in _WITHOUT_LABELS:
        if metric in metrics_of(before) and metric in metrics_of(after):
            yield name, unit, metrics_of(before)[metric]["value"], metrics_of(after)[metric]["value"]


def caveats(rounds: Sequence[Line]) -> list[str]:
    """What a careful reader would hold against the verdict."""
    several = len(models(rounds)) > 1
    found = list(_choice(rounds))
    for model, (finding, *others) in chosen_and_last(rounds).items():
        prefix = f"{visible(model)}: " if several and has_base(rounds, model) else ""
        base = next((line for line in (*of_model(rounds, model), *rounds) if line["round"] == 0), {})
        picked = [*_picked([finding, *others])]
        colder = [*_colder(finding, base)]
        found += [prefix + caveat for caveat in (*picked, *colder, *_measurement(finding, metrics_of(base)))]
    return found


def unsafe(rounds: Sequence[Line]) -> list[str]:
    """What nobody may overlook who reads of this run, whatever it came to."""
    return list(dict.fromkeys(line["unsafe"] for line in rounds if line.get("unsafe")))


def warnings(rounds: Sequence[Line]) -> list[str]:
    """What the watch said: first the collapses it saw, then its warnings, each kind of a model once.

    "The watch ended the run after round 35: llama: held-out agreement fell from 0.74 (round 20) to 0.66"
    """
    last = max((line["round"] for line in rounds), default=0)
    stops, warned = [], dict[tuple[str, str], list[tuple[int, str]]]()
    for line in rounds:
        for alarm in line.get("alarms") or []:
            told = f"{visible(alarm['model'])}: {visible(alarm['reason'])}"
            if alarm["severe"]:
                ended = "ended the run after" if line["round"] == last else "saw a collapse after"
                stops.append(f"The watch {ended} round {line['round']}: {told}.")
            else:
                # The same warning comes back at every probe, with other numbers.
                kind = re.sub(r"[-+]?\d[\d.e+-]*", "#", alarm["reason"])
                warned.setdefault((alarm["model"], kind), []).append((line["round"], told))
    return stops + [
        f"The watch warned after round {of[0][0]}"
        + (f" ({len(of)} times, last after round {of[-1][0]})" if len(of) > 1 else "")
        + f": {of[-1][1]}."
        for of in warned.values()
    ]


def _choice(rounds: Sequence[Line]) -> Iterator[str]:
    """No round to choose?"""
    if validated_by(rounds) is None or headline_round(rounds) is None or best_round(rounds):
        return
    kept = [line for line in rounds if "validation" in line and not is_together(line)]
    which = "base models, which are kept as best" if len(models(kept)) > 1 else "base model, which is kept as best"
    by = f" in {score_name(rounds)}" if validated_by(rounds) == "consensus" else ""
    yield f"On the validation problems no round did better{by} than the {which}."


def _picked(findings: Sequence[Finding]) -> Iterator[str]:
    """How a round came to be spoken of, where that flatters it."""
    for finding in findings:
        if finding.why == "largest" and finding.outcome == "better":
            yield (
                f"{finding.who} was picked as the best by these same problems, which flatters it a little. "
                "An unbiased figure needs problems that took no part in the choice."
            )


def _colder(chosen: Finding, base: Line) -> Iterator[str]:
    """A gain in pass@1 that the base model has, too, when it is decoded better."""
    gained = any(one and (one.metric, one.outcome) == ("pass@1", "better")
                 for one in (chosen.first, chosen.beside))  # fmt: skip
    held = (chosen.line.get("against_best_decoded") or {}).get("pass@1 against the best-decoded base")
    if gained and held and not (held["difference"] > 0 and held["p_value"] < ALPHA) and base.get("sweep"):
        yield (
            f"At its best temperature {chosen.base} has a pass@1 of {percent(held['base'])} %, which {chosen.who} does "
            f"not beat: {tested(held)}. Drawing colder brings that gain without any training."
        )


def _measurement(chosen: Finding, base: Mapping[str, Any]) -> Iterator[str]:
    """What the problems and the judge leave open."""
    now = metrics_of(chosen.line)
    if chosen.comparison["problems"] < _FEW:
        yield f"{chosen.comparison['problems']:,} problems are few: only large differences can be told from chance."
    was, became = (of.get("parse_failure_rate", {}).get("value", 0.0) for of in (base, now))
    gained = [found for metric, found in against_base(chosen.line).items() if metric in ("greedy", "pass@1")]
    if was - became > 0.01 and any(found["difference"] > 0 for found in gained):
        yield (
            f"Answers that could not be read fell from {percent(was)} % to {percent(became)} %: "
            "part of any gain may be form rather than reasoning."
        )
    for metric, comparison in against_base(chosen.line).items():
        if metric.startswith("pass@") and metric not in (chosen.metric, "pass@1") and comparison["high"] < 0:
            yield f"{metric} fell: {difference(comparison)}. Given several tries, {chosen.who} solves fewer problems."
    for who, of in ((chosen.base, base), (chosen.who, now)):
        if (unjudged := of.get("unjudged", {})).get("value"):
            answers = f"{number(unjudged['value'])} of {unjudged['count']:,} answers"
            yield f"No verdict on {answers} of {who}: the judge failed, and they are left out."
