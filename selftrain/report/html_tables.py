"""The page's tables: all metrics, what became of the samples, the training, the settings."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selftrain.evaluation.results import Comparison
from selftrain.report.charts import COLOURS, stacked_bar
from selftrain.report.figure_rows import FigureRow
from selftrain.report.formatting import change, estimate, number, p_value, percent, points, round_name, setting, title
from selftrain.report.history import RunHistory
from selftrain.report.markup import Markup, el, join
from selftrain.report.round_record import RoundRecord, SamplingSummary

#: Metrics by how their names begin; the others as they come.
_FIRST = ("greedy", "pass@", "maj@")
#: Rounds beside one another that the page has room for.
COLUMNS = 5
#: Letters of a heading's word that a column has room for; a longer one is broken.
_WORD = 16
_TAG = re.compile(r"<[^>]*>")


def section(heading: str, note: str, *content: object) -> Markup:
    return el("section", el("h2", heading), el("p", note, class_="note"), *content)


def row_name(history: RunHistory, record: RoundRecord) -> str:
    """ "round 2", or "llama, round 2" where there are several models."""
    if history.of_models:
        return record.model
    name = round_name(record.round)
    return f"{record.model}, {name}" if len(history.models) > 1 else name


def table(label: str, headings: Sequence[object], rows: Sequence[Sequence[object]]) -> Markup:
    """A table whose first column heads its rows. Where a page has no room for its columns, a row is a list of them."""
    # Of markup the text, which is escaped already.
    names = [Markup(_TAG.sub("", heading)) if isinstance(heading, Markup) else str(heading) for heading in headings]
    long = ["long" if any(len(word) > _WORD for word in name.split()) else None for name in names]
    head = el(
        "tr", *(el("th", heading, scope="col", class_=kind) for heading, kind in zip(headings, long, strict=True))
    )
    body = [
        el(
            "tr",
            el("th", row[0], scope="row"),
            *(el("td", cell, data_label=name) for cell, name in zip(row[1:], names[1:], strict=True)),
        )
        for row in rows
    ]
    return el("div", el("table", el("thead", head), el("tbody", *body), aria_label=label), class_="table")


def metrics_tables(history: RunHistory, shown: Sequence[FigureRow]) -> Markup:
    """Every metric by round, of each model and of all as a team: with its interval, its difference to the base and the
    p of that test. Of many rounds there are several tables, or they would not fit the page.
    """
    by_name: dict[str, list[FigureRow]] = {}
    for row in shown:
        by_name.setdefault(row.name, []).append(row)
    parts: list[Markup] = []
    for name, rows in by_name.items():
        parts += [el("h3", name)] if len(history.models) > 1 and not history.of_models else []
        # What is right first.
        metrics = sorted(dict.fromkeys(metric for row in rows for metric in row.metrics), key=_place)
        tables = math.ceil(len(rows) / COLUMNS)
        for place in range(tables):
            some = rows[place * len(rows) // tables : (place + 1) * len(rows) // tables]
            rounds = (round_name(row.round) + " ★" * row.is_best for row in some)
            headings = ["", *([name] if history.of_models else rounds)]
            cells = [[title(metric), *(_metric_cell(metric, row) for row in some)] for metric in metrics]
            parts.append(table(f"All figures, {name}", headings, cells))
    return join(parts)


def _place(metric: str) -> int:
    return next((place for place, first in enumerate(_FIRST) if metric.startswith(first)), len(_FIRST))


def _metric_cell(metric: str, row: FigureRow) -> Markup:
    value, _, interval = estimate(metric, row.metrics.get(metric)).partition(" ")
    parts = [el("b", value), " ", el("small", interval)]
    if (found := row.against_base.get(metric)) is not None:
        texts = [points(change(found))]
        if isinstance(found, Comparison):
            texts = [f"{texts[0]} [{percent(found.low)}, {percent(found.high)}]", p_value(found.p_value)]
        parts += [el("small", text, class_="against") for text in texts]
    return join(parts)


def samples_table(rows: Mapping[str, SamplingSummary]) -> tuple[Markup, Markup]:
    """Kept or why not: bars, and their counts as a table with the legend.

    Args:
        rows: by name.
    """
    totals = Counter[str]()
    for summary in rows.values():
        totals.update(summary.drop_reasons)
    reasons = [reason for reason, count in totals.most_common() if count]
    parts = {
        name: [("kept", summary.kept), *((reason, summary.drop_reasons.get(reason, 0)) for reason in reasons)]
        for name, summary in rows.items()
    }
    bars = [
        el(
            "div",
            el("span", name),
            stacked_bar(cut, f"{name}: " + ", ".join(f"{count:,} {part}" for part, count in cut)),
            class_="fate",
        )
        for name, cut in parts.items()
    ]
    swatches = [
        join([el("i", class_=f"swatch p{min(place, COLOURS - 1)}"), name])
        for place, name in enumerate(["kept", *reasons])
    ]
    # Without labels nothing is graded, and there is no such column to leave empty.
    graded = any(summary.mean_reward is not None for summary in rows.values())
    cells = [
        [name, *_shares(parts[name]), number(summary.mean_length, ",.1f"), *(_rewards(summary) if graded else [])]
        for name, summary in rows.items()
    ]
    headings = ["", *swatches, "tokens", *(["mean reward", "problems with a right one"] if graded else [])]
    # Bars of rows that were kept whole would say nothing.
    return el("div", *bars, class_="fates") if reasons else Markup(""), table("Samples by round", headings, cells)


def _shares(parts: Sequence[tuple[str, int]]) -> list[Markup]:
    whole = sum(count for _, count in parts)
    return [join([f"{count:,} ", el("small", f"{percent(count / whole)} %") if count else ""]) for _, count in parts]


def _rewards(summary: SamplingSummary) -> list[str]:
    solved, problems = summary.solved_problems, summary.problems
    share = f" ({percent(solved / problems)} %)" if solved is not None and problems else ""
    return [number(summary.mean_reward, ".3f"), number(solved, ",") + share]


def training_table(history: RunHistory, shown: Sequence[RoundRecord]) -> Markup:
    """The training of each round."""
    headings = ["", "examples", "steps", "epochs (best)", "loss, first → last"]
    return table("Training by round", headings, [[row_name(history, one), *_training_cells(one)] for one in shown])


def _training_cells(record: RoundRecord) -> list[str]:
    if (report := record.training) is None:
        return ["–"] * 4
    return [
        number(report.examples, ","),
        number(report.steps, ","),
        f"{number(report.epochs)} ({number(report.best_epoch)})",
        f"{number(report.loss_first, '.3f')} → {number(report.loss_last, '.3f')}",
    ]


def settings_list(values: Mapping[str, Any]) -> Markup:
    """Nested settings as one list of names and values; `a: {b: 1}` is shown as a.b and 1, null not at all."""
    return el("dl", *(el("div", el("dt", name), el("dd", value)) for name, value in _flat(values)), class_="facts")


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None:
            yield f"{prefix}{name}", setting(value)
