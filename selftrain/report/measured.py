"""The page's sections on how good the models are: accuracy, together, well decoded, the gap, and the watch's probe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from selftrain.report.charts import Chart, Point, Series
from selftrain.report.choice import best_round, headline_round, score_name, validated_by
from selftrain.report.curves import SHARE, at, curve, legend, panels, unit_of
from selftrain.report.gv_gap_summary import decoded_sentences, gap_points, gaps
from selftrain.report.markup import Markup, el
from selftrain.report.records import Line, accuracies, by_model, evaluated, models, percent, title
from selftrain.report.table import shown_lines
from selftrain.report.tables import figures, section, table
from selftrain.report.team import MEAN, team_sentences, together

_SIGNALS = ("agreement", "distinct_answers", "token_entropy", "mean_length", "truncation_rate", "parse_failure_rate",
            "duplicate_rate", "same_text")  # fmt: skip


def accuracy(rounds: Sequence[Line]) -> Markup:
    measured, metrics = by_model(evaluated(rounds)), accuracies(rounds)
    if not metrics:
        return Markup("")
    ring = best_round(rounds) if headline_round(rounds) is not None else None
    charts = [curve(f"accuracy-{place}", metric, measured, at("metrics", metric), SHARE, ring)
              for place, metric in enumerate(metrics)]  # fmt: skip
    note = "Percent right with 95 % intervals. The dotted line is the base model. Each panel has a scale of its own."
    note += " The ring marks the round that is kept as best." if ring is not None else ""
    return section("Accuracy by round", note, legend(list(measured)), panels(charts))


def all_together(rounds: Sequence[Line]) -> Markup:
    """What several models come to in turn and by vote, beside the mean of them alone."""
    found = together(rounds)
    if not set(found) - {MEAN}:
        return Markup("")
    chart = curve("together", "greedy", found, at("metrics", "greedy"), SHARE)
    said = [el("li", sentence, ".") for sentence in team_sentences(rounds)]
    note = "Greedy answers. No round is chosen by these figures."
    return section(
        "All models together", note, legend(list(found)), el("div", panels([chart]), el("ul", *said), class_="aside")
    )


def decoded(rounds: Sequence[Line]) -> Markup:
    """The base model by temperature, and the trained one against its best."""
    sweeps = {model: next((line["sweep"] for line in lines if line.get("sweep")), None)
              for model, lines in by_model(rounds).items()}  # fmt: skip
    swept = {model: found for model, found in sweeps.items() if found}
    if not swept:
        return Markup("")
    said = [el("li", sentence, ".") for sentence in decoded_sentences(rounds)]
    note = (
        "Training that sharpens a model may gain nothing that a lower temperature would not have given. So the "
        "untouched model is also measured at its best temperature (the ring; one for each half of the problems)."
    )
    return section(
        "Against the best-decoded base", note, legend(list(swept)),
        el("div", panels([_by_temperature(swept)]), el("ul", *said), class_="aside"),
    )  # fmt: skip


def _by_temperature(swept: Mapping[str, Mapping[str, Any]]) -> Chart:
    by_model = {
        model: sorted(((float(warmth), of) for warmth, of in found["by_temperature"].items()), key=itemgetter(0))
        for model, found in swept.items()
    }
    steps = sorted({warmth for found in by_model.values() for warmth, _ in found})
    told = (f"{model} " + ", ".join(f"T {warmth:g} {percent(of['value'])} %" for warmth, of in found)
            for model, found in by_model.items())  # fmt: skip
    return Chart(
        id="sweep",
        title="pass@1 of the base, by temperature",
        describe=f"pass@1 of the base model: {'; '.join(told)}",
        steps=tuple(f"{step:g}" for step in steps),
        series=tuple(
            Series(model, tuple(
                Point(steps.index(warmth), of["value"], of["low"], of["high"], warmth in swept[model]["chosen"])
                for warmth, of in found
            ))
            for model, found in by_model.items()
        ),
        say=percent,
        scale=100,
        span=0.1,
        at=tuple(steps),
        top=1.0,
        level=False,
    )  # fmt: skip


def gap(rounds: Sequence[Line]) -> Markup:
    """The generator-verifier gap before and after, and over the rounds."""
    found = gaps(rounds)
    if not found:
        return Markup("")
    headings = ["", "gap before", "gap after", "change", "right, before → after, %", "verifier above it, points"]
    rows = [
        [
            one.name,
            gap_points(one.before["gap"]),
            gap_points(one.after["gap"]) if one.after else "–",
            one.change,
            _both(one.before, one.after, "accuracy", percent),
            _both(one.before, one.after, "acc_gap_verify", percent),
        ]
        for one in found
    ]
    held = [el("li", f"{one.name}: no percentage, for {one.why_no_percent}.") for one in found if one.why_no_percent]
    chart = curve("gap", "gap, points", by_model(rounds), at("gv_gap", "gap"), SHARE)
    after = f" After is round {found[0].round}." if found[0].round else ""
    note = (
        "How many points more accurate the half of its answers is that a model itself trusts more." + after + " The "
        "change has no interval. The mean's interval is the mean of the models' own, wider than the right one."
    )
    return section(
        "Generator-verifier gap", note, table("Generator-verifier gap", headings, rows),
        el("ul", *held, class_="note") if held else "", legend(models(rounds)), panels([chart]),
    )  # fmt: skip


def _both(before: Mapping[str, Any], after: Mapping[str, Any] | None, key: str, say: Any) -> str:
    return f"{say(before.get(key))} → {say((after or {}).get(key))}"


def watched(rounds: Sequence[Line]) -> Markup:
    """The fixed probe: its score, and what else tells a model that learns from one that falls apart."""
    lines = by_model(rounds)
    charts = [chart for chart in _probes(rounds, lines) if chart is not None and len(chart.steps) > 1]
    if not charts:
        return Markup("")
    note = (
        f"Problems that are never trained on (D_val), asked again and again. The first panel is the score by which "
        f"the best round is chosen: {score_name(rounds)}. The others come from answers drawn at temperature 1."
    )
    return section("The held-out probe", note, legend(models(rounds)), panels(charts, "small"))


def _probes(rounds: Sequence[Line], lines: Mapping[str, Sequence[Line]]) -> Iterator[Chart | None]:
    ring = best_round(rounds) if headline_round(rounds) is not None else None
    yield curve("probe-score", _score_title(rounds), lines, at("validation"), SHARE, ring)
    for signal in _SIGNALS:
        yield curve(
            f"probe-{signal}", title(signal), lines, at("probe", signal),
            unit_of(signal),
        )  # fmt: skip


def _score_title(rounds: Sequence[Line]) -> str:
    return "reward, %" if validated_by(rounds) == "reward" else "agreement with consensus, %"


def all_figures(rounds: Sequence[Line]) -> Markup:
    shown = [(name, line, best) for name, line, best in shown_lines(rounds)]
    if not shown:
        return Markup("")
    note = "Below a value: points gained on the base model, and the p of that one test."
    note += " A star marks the round that is kept as best." if any(best for *_, best in shown) else ""
    every = len({line["round"] for line in evaluated(rounds)})
    few = len({line["round"] for _, line, _ in shown})
    note += f" {few} of {every} evaluated rounds, evenly spread; all are in rounds.jsonl." if few < every else ""
    return section("All figures", note, figures(rounds, shown))
