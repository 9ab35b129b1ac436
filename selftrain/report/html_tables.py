"""The page's tables: all metrics, what became of the samples, the training, the settings."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selftrain.evaluation.results import Comparison
from selftrain.report.charts import COLOURS, stacked_bar
from selftrain.report.figure_rows import FigureRow
from selftrain.report.formatting import difference, estimate, number, p_value, percent, round_name, title
from selftrain.report.history import RunHistory
from selftrain.report.markup import Markup, el, join
from selftrain.report.round_record import RoundRecord, SamplingSummary

#: In the order of a round.
_STAGES = ("sample", "grade", "train", "monitor", "evaluate")


def section(heading: str, note: str, *content: object) -> Markup:
    return el("section", el("h2", heading), el("p", note, class_="note"), *content)


def row_name(history: RunHistory, record: RoundRecord) -> str:
    """ "round 2", or "llama, round 2" where there are several models."""
    name = round_name(record.round)
    return f"{record.model}, {name}" if len(history.models) > 1 else name


def table(label: str, headings: Sequence[object], rows: Sequence[Sequence[object]]) -> Markup:
    """A table whose first column heads its rows. On a narrow page it scrolls by itself, with the keyboard too."""
    head = el("tr", *(el("th", heading, scope="col") for heading in headings))
    body = [el("tr", el("th", row[0], scope="row"), *(el("td", cell) for cell in row[1:])) for row in rows]
    whole = el("table", el("thead", head), el("tbody", *body))
    return el("div", whole, class_="scroll", role="region", aria_label=label, tabindex="0")


def metrics_table(history: RunHistory, shown: Sequence[FigureRow]) -> Markup:
    """Every metric of the rows, with its interval, its difference to the base and the p of that test."""
    metrics = list(dict.fromkeys(metric for row in shown for metric in row.metrics))
    several = len(history.models) > 1
    rows = [
        [
            f"{row.name}, " * several + round_name(row.round) + " ★" * row.is_best,
            *(_metric_cell(metric, row) for metric in metrics),
        ]
        for row in shown
    ]
    return table("All figures by round", ["", *map(title, metrics)], rows)


def _metric_cell(metric: str, row: FigureRow) -> Markup:
    value, _, interval = estimate(metric, row.metrics.get(metric)).partition(" ")
    parts = [el("b", value), " ", el("small", interval)]
    if (found := row.against_base.get(metric)) is not None:
        texts = [difference(found)] + ([p_value(found.p_value)] if isinstance(found, Comparison) else [])
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
    """The training of each round, and where the time went."""
    timed = dict.fromkeys(stage for record in history.records for stage in record.seconds)
    stages = [stage for stage in _STAGES if stage in timed] + [stage for stage in timed if stage not in _STAGES]
    headings = ["", "examples", "steps", "epochs (best)", "loss, first → last", *(f"{stage}, s" for stage in stages)]
    rows: list[list[object]] = [[row_name(history, record), *_training_cells(record, stages)] for record in shown]
    if len(shown) > 1:
        total = (sum(record.seconds.get(stage, 0.0) for record in history.records) for stage in stages)
        rows.append(["whole run", "", "", "", "", *(number(seconds, ",.1f") for seconds in total)])
    return table("Training by round", headings, rows)


def _training_cells(record: RoundRecord, stages: Sequence[str]) -> list[str]:
    seconds = [number(record.seconds.get(stage), ",.1f") for stage in stages]
    if (report := record.training) is None:
        return ["–"] * 4 + seconds
    return [
        number(report.examples, ","),
        number(report.steps, ","),
        f"{number(report.epochs)} ({number(report.best_epoch)})",
        f"{number(report.loss_first, '.3f')} → {number(report.loss_last, '.3f')}",
        *seconds,
    ]


def settings_list(values: Mapping[str, Any]) -> Markup:
    """Nested settings as one list of names and values; `a: {b: 1}` is shown as a.b and 1."""
    return el("dl", *(el("div", el("dt", name), el("dd", value)) for name, value in _flat(values)), class_="facts")


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield (
                f"{prefix}{name}",
                value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str),
            )
