"""One self-contained page about a run. It needs no script, no network and no server, and forbids itself all three."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from string import Template
from typing import Any

from selftrain.report import evaluation_sections as evaluation
from selftrain.report import training_sections as training
from selftrain.report.examples import SolvedExample, examples_list
from selftrain.report.findings import Finding, headline_findings
from selftrain.report.formatting import p_value, percent, points
from selftrain.report.glossary import glossary
from selftrain.report.history import RunHistory
from selftrain.report.html_tables import section, settings_list
from selftrain.report.markup import Markup, el, join
from selftrain.report.round_record import RoundRecord
from selftrain.report.team import mean_sentence
from selftrain.report.verdict import BLIND, NOTHING, caveats, unsafe, warnings, without_labels


@dataclass(frozen=True)
class PageContent:
    """Everything on the page beside the history of the run."""

    title: str = "selftrain run"
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    examples: Sequence[SolvedExample] = ()


def render_page(history: RunHistory, content: PageContent) -> str:
    """The page as text, to be written as UTF-8. All that comes from models, data or users is escaped in it."""
    sections = (
        evaluation.accuracy(history),
        evaluation.team(history),
        evaluation.best_decoded(history),
        evaluation.gv_gap(history),
        evaluation.probe(history),
        evaluation.all_metrics(history),
        training.samples(history),
        training.trainings(history),
        _examples(content.examples),
        _about(history, content),
    )
    asides = (
        _aside("Not safe", unsafe(history), "warned"),
        _aside("What the collapse monitor reported", warnings(history), "warned"),
        _aside("Caveats", caveats(history)),
    )
    page = Template(resources.files("selftrain.report").joinpath("page.html").read_text(encoding="utf-8"))
    return page.substitute(
        title=join([content.title]), verdict=_verdict(history), caveats=join(asides), sections=join(sections)
    )


def _verdict(history: RunHistory) -> Markup:
    if history.is_blind:
        short, _, why = BLIND.partition(": ")
        texts = [f"{why[:1].upper()}{why[1:]}", *without_labels(history)]
        return el("div", el("h1", short), *(el("p", text, class_="lead") for text in texts))
    found = headline_findings(history)
    if not found:
        short, _, why = NOTHING.partition(": ")
        return el("div", el("h1", short), el("p", why[:1].upper() + why[1:], class_="lead"))
    several = len(found) > 1
    models = (_of_model(history, model, findings, several=several) for model, findings in found.items())
    return join([_of_several(history) if several else "", *models])


def _of_several(history: RunHistory) -> Markup:
    """The head of several models: how they did on average."""
    mean = mean_sentence(history)
    lead = f"{mean[:1].upper()}{mean[1:]}. The mean has no test here: each model has its own below."
    return join(
        [el("h1", "Several models, each against its base"), el("p", lead, class_="lead several") if mean else ""]
    )


def _of_model(history: RunHistory, model: str, findings: Sequence[Finding], *, several: bool) -> Markup:
    chosen, *rest = findings
    subject, verb, others = chosen.words
    headline = [f"{model}: " if several else "", subject, " ", el("em", verb), " ", others]
    labels = {"last": "The last: ", "largest": "The largest difference: ", "best": ""}
    return el(
        "div",
        el("h2" if several else "h1", *headline),
        el("p", chosen.numbers, ".", class_="lead"),
        *(el("p", f"{labels[other.why]}{other.headline}, {other.numbers}.", class_="lead") for other in rest),
        el("dl", *(_tile(metric, chosen.record) for metric in history.accuracies), class_="tiles"),
        class_=f"verdict {chosen.tone}",
    )


def _tile(metric: str, record: RoundRecord) -> Markup:
    comparison = record.against_base.get(metric)
    if comparison is None:
        return Markup("")
    kind = "gained" if comparison.low > 0 else "lost" if comparison.high < 0 else "same"
    interval = f"[{percent(comparison.low)}, {percent(comparison.high)}]"
    return el(
        "div",
        el("dt", metric),
        el("dd", percent(comparison.new), el("small", "%"), class_="big"),
        el("dd", f"was {percent(comparison.base)} %", class_="was"),
        el("dd", f"{points(comparison.difference)} points", class_=f"chip {kind}"),
        el("dd", el("span", interval), " ", el("span", p_value(comparison.p_value)), class_="was"),
        class_="tile",
    )


def _aside(heading: str, sentences: Sequence[str], kind: str = "") -> Markup:
    if not sentences:
        return Markup("")
    items = el("ul", *(el("li", sentence) for sentence in sentences))
    return el("aside", el("h2", heading), items, class_=f"caveats {kind}".strip())


def _examples(examples: Sequence[SolvedExample]) -> Markup:
    if not examples:
        return Markup("")
    note = "The same problem, answered by the base model and by the trained one."
    return section("Before and after", note, examples_list(examples))


def _about(history: RunHistory, content: PageContent) -> Markup:
    terms = (join([el("dt", term), el("dd", means)]) for term, means in glossary(history, content.settings).items())
    folds = {"How to read these numbers": el("dl", *terms, class_="reading")}
    folds |= {"Settings": settings_list(content.settings)} if content.settings else {}
    folds |= {"Environment": settings_list(content.environment)} if content.environment else {}
    return el(
        "section",
        el("h2", "About this run"),
        *(el("details", el("summary", name), fold, class_="fold") for name, fold in folds.items()),
    )
