"""The rounds of a run as text for the terminal. rich is imported when a table is made, not before."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from selftrain.report.choice import best_round, headline_round, score_name, thinned, validated_by
from selftrain.report.records import (
    Line,
    accuracies,
    against_base,
    by_model,
    estimate,
    evaluated,
    metrics_of,
    models,
    p_value,
    points,
    title,
)
from selftrain.report.team import together
from selftrain.report.visible import visible

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_CAPTION = "by round: percent right [95 % interval]; below: points gained on the base, p of this one paired test"
_BLIND = ("validation", "agreement", "token_entropy", "mean_length", "parse_failure_rate")


def render_table(rounds: Sequence[Line]) -> Table:
    """The base model and the evaluated rounds: percent right with its interval, and the difference to the base below.

    Of many rounds some, always the base, the best and the last. What the models come to together stands after them.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    measured = evaluated(rounds)
    several, metrics = len(models(rounds)) > 1, accuracies(rounds)
    headings = metrics or [title(metric) for metric in _BLIND if _is_measured(measured, metric)]
    metrics = metrics or [metric for metric in _BLIND if _is_measured(measured, metric)]
    table.caption, table.caption_justify = _caption(rounds), "left"
    for heading in (["model"] if several else []) + ["", *headings]:
        table.add_column(heading, overflow="fold")
    for name, line, is_best in shown_lines(rounds):
        # As Text, a name is never read as rich's markup.
        named = [Text(visible(name))] if several else []
        number = f"{line['round'] or 'base'}{' *' if is_best else ''}"
        table.add_row(*named, number, *(_cell(metric, line, several) for metric in metrics))
    return table


def shown_lines(rounds: Sequence[Line]) -> Iterator[tuple[str, Line, bool]]:
    """Name, line, and whether it is of the best round: some rounds of each model, then of all together."""
    measured, best = evaluated(rounds), best_round(rounds)
    shown = thinned((line["round"] for line in measured), keep=[best])
    stars = headline_round(rounds) is not None
    for name, lines in by_model(measured).items():
        yield from ((name, line, stars and line["round"] == best) for line in lines if line["round"] in shown)
    for name, lines in together(rounds).items():
        few = thinned((line["round"] for line in lines), keep=[best], most=4)
        yield from ((name, line, False) for line in lines if line["round"] in few)


def _is_measured(lines: Sequence[Line], metric: str) -> bool:
    return any(metric in line if metric == "validation" else metric in metrics_of(line) for line in lines)


def _caption(rounds: Sequence[Line]) -> str:
    caption = _CAPTION if accuracies(rounds) else "by round: no accuracy, for no evaluation problem has an answer"
    if headline_round(rounds) is None:
        return caption
    by = "the last that trained" if validated_by(rounds) is None else f"by {score_name(rounds)} on D_val"
    return f"{caption}; * the round kept as best, {by}"


def _cell(metric: str, line: Line, narrow: bool) -> Text:
    """With the models' names beside it there is no room for value and interval in one row."""
    from rich.text import Text

    if metric == "validation":
        return Text(estimate(metric, {"value": line[metric]} if metric in line else None))
    said = estimate(metric, metrics_of(line).get(metric))
    cell = Text(said.replace(" [", "\n[") if narrow else said)
    if found := against_base(line).get(metric):
        p = f", {p_value(found['p_value'])}" if "p_value" in found else ""
        p = p.replace(" = ", "=").replace(" < ", "<") if narrow else p
        cell.append(f"\n{points(found['difference'])}{p}", style="dim")
    return cell


def as_plain_text(table: Table, width: int = 100) -> str:
    """The table without colours, for a file or a pipe."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"
