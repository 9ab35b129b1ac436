"""The rounds of a run as a table for the terminal. rich is imported when a table is made, not before."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from selftrain.evaluation.results import Comparison
from selftrain.report.figure_rows import FigureRow, row_of, spread
from selftrain.report.formatting import change, estimate, p_value, points, title
from selftrain.report.history import RunHistory
from selftrain.report.team import team_rows
from selftrain.report.visible import visible

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

_COMPARED = "percent right [95 % interval]; below: points gained on {base}, p of this one paired test"
_ALONE = "percent right [95 % interval]"
#: Columns where no evaluation problem has an answer.
_BLIND = ("validation_score", "agreement", "token_entropy", "mean_length", "parse_failure_rate")


def render_table(history: RunHistory) -> Group:
    """The base model and the evaluated rounds: percent right with its interval, and the difference to the base below.

    Of many rounds some, always the base, the best and the last; then all models as a team.
    """
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    several, metrics = len(history.models) > 1, history.accuracies
    headings = metrics
    if not metrics:
        metrics = [metric for metric in _BLIND if _is_measured(history, metric)]
        headings = [title(metric) for metric in metrics]
    named, numbered = several or history.of_models, not history.of_models
    for heading in ["model"] * named + [""] * numbered + headings:
        table.add_column(heading, overflow="fold")
    for row in shown_rows(history):
        # As Text, a name is never read as rich's markup.
        name = [Text(visible(row.name))] * named
        number = [f"{row.round or 'base'}{' *' if row.is_best else ''}"] * numbered
        table.add_row(*name, *number, *(_cell(metric, row, narrow=several) for metric in metrics))
    # As a caption it would wrap at the width of the table.
    return Group(table, Text(_caption(history), style="dim italic"))


def shown_rows(history: RunHistory) -> Iterator[FigureRow]:
    """Some rounds of each model, then of all as a team."""
    best = history.best_round
    shown = spread((record.round for record in history.evaluated), keep=[best])
    for model, records in history.by_model.items():
        for record in records:
            if record.metrics and record.round in shown:
                yield row_of(record, model, is_best=record.round == best)
    for rows in team_rows(history).values():
        few = spread((row.round for row in rows), keep=[best], most=4)
        yield from (row for row in rows if row.round in few)


def _is_measured(history: RunHistory, metric: str) -> bool:
    if metric == "validation_score":
        return any(record.validation_score is not None for record in history.evaluated)
    return metric in history.metrics


def _caption(history: RunHistory) -> str:
    compared = any(record.against_base for record in history.records)
    caption = "" if history.of_models else "by round: "
    if not history.accuracies:
        caption += "no accuracy, since no evaluation problem has an answer"
    elif compared:
        caption += _COMPARED.format(base=visible(history.models[0]) if history.of_models else "the base")
    else:
        caption = _ALONE
    if history.headline_round is None:
        return caption
    by = "the last that trained"
    if history.validated_by is not None:
        by = f"by {history.score_name} on the validation problems"
    return f"{caption}; * the round kept as best, {by}"


def _cell(metric: str, row: FigureRow, *, narrow: bool) -> Text:
    """With a column of models there is no room for value and interval on one line."""
    from rich.text import Text

    if metric == "validation_score":
        return Text(estimate(metric, row.validation_score))
    text = estimate(metric, row.metrics.get(metric))
    cell = Text(text.replace(" [", "\n[") if narrow else text)
    if (found := row.against_base.get(metric)) is not None:
        p = f", {p_value(found.p_value)}" if isinstance(found, Comparison) else ""
        p = p.replace(" = ", "=").replace(" < ", "<") if narrow else p
        cell.append(f"\n{points(change(found))}{p}", style="dim")
    return cell


def as_plain_text(table: Group, width: int = 100) -> str:
    """The table without colours, for a file or a pipe."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False, force_jupyter=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"
