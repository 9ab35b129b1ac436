"""The page's sections on how good the models are: accuracy, the team, the best-decoded base, the gap, and the probe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter

from selftrain.evaluation.results import Estimate, GVGap, Sweep
from selftrain.report.charts import Chart, Point, Series
from selftrain.report.curves import SHARE, Style, curve, legend, panels, unit_of
from selftrain.report.formatting import percent, title
from selftrain.report.gv_gap_summary import GapSummary, best_decoded_sentences, gap_points, gap_summaries
from selftrain.report.history import RunHistory
from selftrain.report.html_tables import metrics_tables, section, table
from selftrain.report.markup import Markup, el
from selftrain.report.round_record import RoundRecord
from selftrain.report.team import MEAN, team_rows, team_sentences
from selftrain.report.terminal_table import shown_rows

_SIGNALS = (
    "agreement",
    "distinct_answers",
    "token_entropy",
    "mean_length",
    "truncation_rate",
    "parse_failure_rate",
    "duplicate_rate",
    "same_text",
)


def accuracy(history: RunHistory) -> Markup:
    metrics, ring = history.accuracies, history.best_round
    # A curve of one point each would show less than the table.
    if not metrics or history.of_models:
        return Markup("")
    evaluated = {model: records for model, records in history.by_model.items() if any(r.metrics for r in records)}
    charts = [
        curve(f"accuracy-{place}", metric, evaluated, _metric(metric), style=Style(SHARE, ring=ring))
        for place, metric in enumerate(metrics)
    ]
    note = "Percent right with 95 % intervals. The dotted line is the base model. Each panel has a scale of its own."
    note += " The ring marks the round that is kept as best." if ring is not None else ""
    return section("Accuracy by round", note, legend(list(evaluated)), panels(charts))


def _metric(name: str) -> Callable[[RoundRecord], Estimate | None]:
    return lambda record: record.metrics.get(name)


def team(history: RunHistory) -> Markup:
    """The models as a team, in turn and by vote, beside the mean of them alone."""
    rows = team_rows(history)
    if not set(rows) - {MEAN}:
        return Markup("")
    chart = curve("team", "greedy", rows, lambda row: row.metrics.get("greedy"), style=Style(SHARE))
    sentences = [el("li", sentence, ".") for sentence in team_sentences(history)]
    note = "Greedy answers. No round is chosen by these figures."
    content = el("div", panels([chart]), el("ul", *sentences), class_="aside")
    return section("All models together", note, legend(list(rows)), content)


def best_decoded(history: RunHistory) -> Markup:
    """The base model by temperature, and the trained one against its best."""
    sweeps = history.sweeps
    if not sweeps:
        return Markup("")
    sentences = [el("li", sentence, ".") for sentence in best_decoded_sentences(history)]
    note = (
        "Training that sharpens a model may gain nothing that a lower temperature would not have given. So the "
        "base model is also measured at its best temperature (the ring; one for each half of the problems)."
    )
    content = el("div", panels([_by_temperature(sweeps)]), el("ul", *sentences), class_="aside")
    return section("Against the best-decoded base", note, legend(list(sweeps)), content)


def _by_temperature(sweeps: Mapping[str, Sweep]) -> Chart:
    curves = {
        model: sorted(((float(text), value) for text, value in sweep.by_temperature.items()), key=itemgetter(0))
        for model, sweep in sweeps.items()
    }
    steps = sorted({temperature for values in curves.values() for temperature, _ in values})
    texts = (
        f"{model} " + ", ".join(f"T {temperature:g} {percent(value.value)} %" for temperature, value in values)
        for model, values in curves.items()
    )

    def points(model: str) -> Iterator[Point]:
        for temperature, value in curves[model]:
            ring = temperature in sweeps[model].chosen
            yield Point(steps.index(temperature), value.value, low=value.low, high=value.high, ring=ring)

    return Chart(
        id="sweep",
        title="pass@1 of the base, by temperature",
        describe=f"pass@1 of the base model: {'; '.join(texts)}",
        steps=tuple(f"{step:g}" for step in steps),
        series=tuple(Series(model, tuple(points(model))) for model in curves),
        text=percent,
        scale=100,
        span=0.1,
        at=tuple(steps),
        top=1.0,
        level=False,
    )


def gv_gap(history: RunHistory) -> Markup:
    """The generator-verifier gap before and after, and over the rounds."""
    found = gap_summaries(history)
    if not found:
        return Markup("")
    headings = ["", "gap before", "gap after", "change", "right, before → after, %", "verifier above it, points"]
    rows = [
        [
            summary.name,
            gap_points(summary.before.gap),
            gap_points(summary.after.gap) if summary.after else "–",
            summary.change,
            _both(summary, lambda gap: gap.accuracy),
            _both(summary, lambda gap: gap.acc_gap_verify),
        ]
        for summary in found
    ]
    reasons = [(one.name, one.reduction.why_no_percent) for one in found if one.reduction is not None]
    without = [el("li", f"{name}: no percentage, for {why}.") for name, why in reasons if why]
    chart = curve("gap", "gap, points", history.by_model, _gap_estimate, style=Style(SHARE))
    after = f" After is round {found[0].round}." if found[0].round else ""
    note = (
        f"How many points more accurate the half of its answers is that a model itself trusts more.{after} The "
        "change has no interval. The mean's interval is the mean of the models' own, wider than the right one."
    )
    return section(
        "Generator-verifier gap",
        note,
        table("Generator-verifier gap", headings, rows),
        el("ul", *without, class_="note") if without else "",
        legend(history.models),
        panels([chart]),
    )


def _gap_estimate(record: RoundRecord) -> Estimate | None:
    return None if record.gv_gap is None else record.gv_gap.gap


def _both(summary: GapSummary, value_of: Callable[[GVGap], float | None]) -> str:
    after = None if summary.after is None else value_of(summary.after)
    return f"{percent(value_of(summary.before))} → {percent(after)}"


def probe(history: RunHistory, *, watched: bool = True) -> Markup:
    """The validation score, and the signals by which a collapse is seen: folded while the monitor reports none.

    Args:
        watched: whether the monitor was on.
    """
    charts = [chart for chart in _probe_charts(history) if chart is not None and len(chart.steps) > 1]
    if not charts:
        return Markup("")
    scored = charts[:1] if charts[0].id == "probe-score" else []
    signals = charts[len(scored) :]
    note = "Validation problems, which are never trained on, probed again and again."
    note += f" The first panel is the score by which the best round is chosen: {history.score_name}." if scored else ""
    fold = Markup("")
    if signals:
        alarmed = any(record.alarms for record in history.records)
        told = "The collapse monitor reported something" if alarmed else "No collapse reported"
        told = told if watched else "The collapse monitor was off"
        summary = el("summary", f"{told}: {len(signals)} signals, of answers sampled at temperature 1")
        drawn = el("div", panels(signals, "small"), class_="inside")
        fold = el("details", summary, drawn, class_="fold", open="" if alarmed else None)
    return section("The validation probe", note, legend(history.models), panels(scored, "small"), fold)


def _probe_charts(history: RunHistory) -> Iterator[Chart | None]:
    name = "reward, %" if history.validated_by == "reward" else "agreement with consensus, %"
    style = Style(SHARE, ring=history.best_round)
    yield curve("probe-score", name, history.by_model, lambda record: record.validation_score, style=style)
    for signal in _SIGNALS:
        yield curve(
            f"probe-{signal}",
            title(signal),
            history.by_model,
            lambda record, signal=signal: record.probe.get(signal),  # type: ignore[misc]
            style=Style(unit_of(signal)),
        )


def all_metrics(history: RunHistory) -> Markup:
    rows = list(shown_rows(history))
    if not rows:
        return Markup("")
    note = "With 95 % intervals. Below a value: points gained on the base model, and the p of that one test."
    note += " A star marks the round that is kept as best." if any(row.is_best for row in rows) else ""
    every = len({record.round for record in history.evaluated})
    few = len({row.round for row in rows})
    note += f" {few} of {every} evaluated rounds, evenly spread; all are in rounds.jsonl." if few < every else ""
    return section("All figures", note, metrics_tables(history, rows))
