"""The rounds of a run as text for the terminal. rich is imported when a table is made, not before."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from selftrain.report.records import (
    Line,
    accuracies,
    against_base,
    estimate,
    metrics_of,
    models,
    of_model,
    p_value,
    points,
)
from selftrain.report.visible import visible

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_CAPTION = "by round: percent right [95 % interval]; below: points gained on the base, p of this one paired test"


def render_table(rounds: Sequence[Line]) -> Table:
    """The base model and every round: percent right with its interval, and the difference to the base below it."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.caption, table.caption_justify = _CAPTION, "left"
    several, metrics = len(models(rounds)) > 1, accuracies(rounds)
    for heading in (["model"] if several else []) + ["", *metrics]:
        table.add_column(heading, overflow="fold")
    for model in models(rounds):
        for line in of_model(rounds, model):
            # As Text, a name is never read as rich's markup.
            name = [Text(visible(model))] if several else []
            table.add_row(*name, str(line["round"] or "base"), *(_cell(metric, line) for metric in metrics))
    return table


def _cell(metric: str, line: Line) -> Text:
    from rich.text import Text

    cell = Text(estimate(metric, metrics_of(line).get(metric)))
    if found := against_base(line).get(metric):
        cell.append(f"\n{points(found['difference'])}, {p_value(found['p_value'])}", style="dim")
    return cell


def as_plain_text(table: Table, width: int = 100) -> str:
    """The table without colours, for a file or a pipe."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"
