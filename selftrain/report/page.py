"""One self-contained page about a run. It needs no script, no network and no server, and forbids itself all three."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from string import Template
from typing import Any

from selftrain.report import evaluation_sections as evaluation
from selftrain.report import training_sections as training
from selftrain.report.changes import Changes
from selftrain.report.cost_section import cost
from selftrain.report.decision import Decision, decide, of_model
from selftrain.report.examples import before_and_after
from selftrain.report.findings import Finding, headline_findings
from selftrain.report.formatting import p_value, percent, points
from selftrain.report.glossary import glossary
from selftrain.report.history import RunHistory
from selftrain.report.html_tables import settings_list
from selftrain.report.markup import Markup, el, join
from selftrain.report.round_record import RoundRecord
from selftrain.report.team import mean_sentence
from selftrain.report.verdict import caveats, unsafe, warnings, without_labels


@dataclass(frozen=True)
class PageContent:
    """Everything on the page beside the history of the run."""

    title: str = "selftrain run"
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    #: Problems that became right or wrong.
    changes: Changes | None = None
    #: Round -> tokens of the answers to its evaluation problems.
    evaluated_tokens: Mapping[int, int] = field(default_factory=dict)
    #: What plan.json says that the run has come to.
    happened: Mapping[str, Any] = field(default_factory=dict)


def render_page(history: RunHistory, content: PageContent) -> str:
    """The page as text, to be written as UTF-8. All that comes from models, data or users is escaped in it."""
    sections = (
        evaluation.accuracy(history),
        evaluation.team(history),
        evaluation.best_decoded(history),
        evaluation.gv_gap(history),
        evaluation.probe(history, watched=content.settings.get("collapse_watch") != "off"),
        evaluation.all_metrics(history),
        before_and_after(content.changes),
        training.samples(history),
        training.trainings(history),
        cost(history, content.evaluated_tokens, content.happened),
        _about(history, content),
    )
    asides = (
        aside("Not safe", unsafe(history), "warned"),
        aside("What the collapse monitor reported", warnings(history), "warned"),
        aside("Caveats", caveats(history)),
    )
    return fill(content.title, _verdict(history), asides, sections)


def fill(title: str, verdict: Markup, asides: Iterable[Markup], sections: Iterable[Markup]) -> str:
    """The frame of every page, with its style."""
    page = Template(resources.files("selftrain.report").joinpath("page.html").read_text(encoding="utf-8"))
    return page.substitute(title=join([title]), verdict=verdict, caveats=join(asides), sections=join(sections))


def headline(decision: Decision, name: str = "h1", before: str = "") -> Markup:
    return el(name, before, el("em", decision.what), f": {decision.why}" if decision.why else "")


def _verdict(history: RunHistory) -> Markup:
    found, decision = headline_findings(history), decide(history)
    if history.is_blind:
        below = [el("p", text, class_="lead") for text in without_labels(history)]
    elif len(found) < 2:
        below = [_of_model(history, findings) for findings in found.values()]
    else:
        mean = mean_sentence(history)
        lead = f"{mean[:1].upper()}{mean[1:]}. The mean has no test here: each model has its own below."
        below = [el("p", lead, class_="lead several") if mean else Markup("")]
    parts = [el("div", headline(decision), *below, class_=f"verdict {decision.tone}")]
    for model, findings in found.items() if len(found) > 1 else ():
        own = of_model(history, findings[0])
        head = headline(own, "h2", f"{model}: ")
        parts.append(el("div", head, _of_model(history, findings), class_=f"verdict {own.tone}"))
    return join(parts)


def _of_model(history: RunHistory, findings: Sequence[Finding]) -> Markup:
    """The sentences and figures below a headline."""
    chosen, *rest = findings
    labels = {"last": "The last: ", "largest": "The largest difference: ", "best": ""}
    return join(
        [
            el("p", f"{chosen.headline}: {chosen.numbers}.", class_="lead"),
            *(el("p", f"{labels[other.why]}{other.headline}, {other.numbers}.", class_="lead") for other in rest),
            el("dl", *(_tile(metric, chosen.record) for metric in history.accuracies), class_="tiles"),
        ]
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


def aside(heading: str, sentences: Sequence[str], kind: str = "") -> Markup:
    if not sentences:
        return Markup("")
    items = el("ul", *(el("li", sentence) for sentence in sentences))
    return el("aside", el("h2", heading), items, class_=f"caveats {kind}".strip())


def _about(history: RunHistory, content: PageContent) -> Markup:
    terms = (join([el("dt", term), el("dd", means)]) for term, means in glossary(history, content.settings).items())
    folds = {"How to read these numbers": el("dl", *terms, class_="reading")}
    folds |= {"Settings that have a value": settings_list(content.settings)} if content.settings else {}
    folds |= {"Environment": settings_list(content.environment)} if content.environment else {}
    return el(
        "section",
        el("h2", "About this run"),
        *(el("details", el("summary", name), fold, class_="fold") for name, fold in folds.items()),
    )
