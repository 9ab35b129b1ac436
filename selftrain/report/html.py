"""One self-contained page about a run. It needs no script, no network and no server, and forbids itself all three."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from string import Template
from typing import Any

from selftrain.report.charts import COLOURS, Chart, Point, Series, draw, shape
from selftrain.report.examples import SolvedExample, examples_list
from selftrain.report.markup import Markup, el, join
from selftrain.report.records import (
    Line,
    accuracies,
    against_base,
    metrics_of,
    models,
    number,
    of_model,
    p_value,
    percent,
    points,
)
from selftrain.report.tables import facts, fates, figures, row_name, training
from selftrain.report.verdict import NOTHING, Finding, caveats, chosen_and_last

_READING = {
    "greedy": "Share of problems whose most likely answer is right: one answer a problem, at temperature 0.",
    "pass@k": "Chance that at least one of k drawn answers is right, by the unbiased estimator (Chen et al. 2021).",
    "maj@k": "Share of problems whose most frequent drawn answer is right. Answers that could not be read have no "
    "vote, ties count in part.",
    "[low, high]": "95 % interval over problems: Wilson's for shares, at the effective number of trials where a "
    "problem has several answers; Tango's for a greedy difference, the paired bootstrap for other differences.",
    "p": "Two-sided and paired, problem by problem: McNemar's exact test for greedy, a sign-flip permutation test for "
    "the others. In the verdict it is Holm-corrected for all rounds compared; elsewhere it is that of one test.",
    "the round spoken of": "The one with the highest reward on the validation problems, where there were any; else the "
    "one with the largest difference.",
    "not in the intervals": "They hold the chance of the problems, not that of the training: another seed would "
    "give another model.",
}


def render_page(
    rounds: Sequence[Line],
    settings: Mapping[str, Any],
    environment: Mapping[str, Any],
    examples: Sequence[SolvedExample] = (),
    title: str = "selftrain run",
) -> str:
    """The page as text, to be written as UTF-8. All that comes from models, data or users is escaped in it."""
    sections = (
        _accuracy(rounds),
        _figures(rounds),
        _samples(rounds),
        _training(rounds),
        _examples(examples),
        _about(settings, environment),
    )
    page = Template(resources.files("selftrain.report").joinpath("page.html").read_text(encoding="utf-8"))
    return page.substitute(
        title=join([title]), verdict=_verdict(rounds), caveats=_caveats(rounds), sections=join(sections)
    )


def _section(heading: str, note: str, *content: object) -> Markup:
    return el("section", el("h2", heading), el("p", note, class_="note"), *content)


def _verdict(rounds: Sequence[Line]) -> Markup:
    found = chosen_and_last(rounds)
    if not found:
        short, _, why = NOTHING.partition(": ")
        return el("div", el("h1", short), el("p", why[:1].upper() + why[1:], class_="lead"))
    several = len(found) > 1
    return join(
        [
            el("h1", "Several models, each against its base") if several else "",
            *(_of_model(rounds, model, findings, several) for model, findings in found.items()),
        ]
    )


def _of_model(rounds: Sequence[Line], model: str, findings: Sequence[Finding], several: bool) -> Markup:
    chosen, *rest = findings
    words = el("em", chosen.headline.removeprefix(f"{chosen.who} ").removesuffix(f" {chosen.base}"))
    headline = [f"{model}: " if several else "", chosen.who, " ", words, " ", chosen.base]
    return el(
        "div",
        el("h2" if several else "h1", *headline),
        el("p", chosen.numbers, ".", class_="lead"),
        *(el("p", f"The last: {last.headline}, {last.numbers}.", class_="lead") for last in rest),
        el("dl", *(_tile(metric, chosen.line) for metric in accuracies(rounds)), class_="tiles"),
        class_=f"verdict {chosen.outcome}",
    )


def _tile(metric: str, line: Line) -> Markup:
    comparison = against_base(line).get(metric)
    if comparison is None:
        return Markup("")
    kind = "gained" if comparison["low"] > 0 else "lost" if comparison["high"] < 0 else "same"
    interval = f"[{percent(comparison['low'])}, {percent(comparison['high'])}]"
    return el(
        "div",
        el("dt", metric),
        el("dd", percent(comparison["new"]), el("small", "%"), class_="big"),
        el("dd", f"was {percent(comparison['base'])} %", class_="was"),
        el("dd", f"{points(comparison['difference'])} points", class_=f"chip {kind}"),
        el("dd", el("span", interval), " ", el("span", p_value(comparison["p_value"])), class_="was"),
        class_="tile",
    )


def _caveats(rounds: Sequence[Line]) -> Markup:
    found = caveats(rounds)
    if not found:
        return Markup("")
    return el("aside", el("h2", "To be held against it"), el("ul", *(el("li", c) for c in found)), class_="caveats")


def _accuracy(rounds: Sequence[Line]) -> Markup:
    if not accuracies(rounds):
        return Markup("")
    charts = [_accuracy_chart(rounds, metric, f"accuracy-{place}") for place, metric in enumerate(accuracies(rounds))]
    note = "Percent right with 95 % intervals. The dotted line is the base model. Each panel has a scale of its own."
    return _section("Accuracy by round", note, _legend(models(rounds)), _panels(charts))


def _accuracy_chart(rounds: Sequence[Line], metric: str, id: str) -> Chart:
    numbers = sorted({int(line["round"]) for line in rounds})
    series = tuple(
        Series(
            model,
            tuple(
                Point(numbers.index(line["round"]), found["value"], found["low"], found["high"])
                for line in of_model(rounds, model)
                if (found := metrics_of(line).get(metric))
            ),
        )
        for model in models(rounds)
    )
    said = (f"{row_name(rounds, line)} {percent(metrics_of(line).get(metric, {}).get('value'))} %" for line in rounds)
    return Chart(
        id=id,
        title=metric,
        describe=f"{metric}: {'; '.join(said)}",
        steps=tuple(str(n) if n else "base" for n in numbers),
        series=series,
        say=percent,
        scale=100,
        span=0.1,
    )


def _legend(names: Sequence[str]) -> Markup:
    """Which mark is which model; one model needs none."""
    if len(names) < 2:
        return Markup("")
    marks = (
        el("svg", shape(i, 7, 7), viewBox="0 0 14 14", class_=f"c{min(i, COLOURS - 1)}", aria_hidden="true")
        for i in range(len(names))
    )
    return el("ul", *(el("li", *pair) for pair in zip(marks, names, strict=False)), class_="legend")


def _panels(charts: Sequence[Chart], size: str = "") -> Markup:
    figures_ = (el("figure", el("figcaption", chart.title), draw(chart)) for chart in charts)
    return el("div", *figures_, class_=f"panels {size}".strip())


def _figures(rounds: Sequence[Line]) -> Markup:
    if not rounds:
        return Markup("")
    note = "Below a value: points gained on the base model, and the p of that one test."
    return _section("All figures", note, figures(rounds))


def _samples(rounds: Sequence[Line]) -> Markup:
    if not any(line.get("sampling") for line in rounds):
        return Markup("")
    note = "Every answer drawn for training was kept, or was not for one reason."
    return _section("What became of the samples", note, fates(rounds))


def _training(rounds: Sequence[Line]) -> Markup:
    if not any(line.get("learning") for line in rounds):
        return Markup("")
    charts = list(_yardsticks(rounds))
    drawn = [el("h3", "Reward on the validation problems, by epoch"), _panels(charts, "small")] if charts else []
    note = "Epoch 0 is the weights that training started from; the ring marks the epoch that was kept."
    return _section("Training", note, training([line for line in rounds if line["round"]]), *drawn)


def _yardsticks(rounds: Sequence[Line]) -> Iterator[Chart]:
    for place, line in enumerate(rounds):
        learned = line.get("learning") or {}
        if values := learned.get("yardstick"):
            name = row_name(rounds, line)
            yield Chart(
                id=f"yardstick-{place}",
                title=name,
                describe=f"Validation reward of {name} by epoch: {', '.join(number(v, '.3f') for v in values)}",
                steps=tuple(map(str, range(len(values)))),
                series=(
                    Series(name, tuple(Point(i, v, ring=i == learned.get("best_epoch")) for i, v in enumerate(values))),
                ),
                say=lambda reward: f"{reward:.3f}",
                scale=1,
                span=0.05,
            )


def _examples(examples: Sequence[SolvedExample]) -> Markup:
    if not examples:
        return Markup("")
    note = "The same problem, answered by the base model and by the trained one."
    return _section("Before and after", note, examples_list(examples))


def _about(settings: Mapping[str, Any], environment: Mapping[str, Any]) -> Markup:
    reading = el("dl", *(join([el("dt", k), el("dd", v)]) for k, v in _READING.items()), class_="reading")
    folds = {"How to read these numbers": reading}
    folds |= {"Settings": facts(settings)} if settings else {}
    folds |= {"Environment": facts(environment)} if environment else {}
    return el(
        "section",
        el("h2", "About this run"),
        *(el("details", el("summary", name), content, class_="fold") for name, content in folds.items()),
    )
