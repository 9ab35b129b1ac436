"""The report of a finished run: a table, a few problems before and after, and a page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import yaml

from selftrain.report.examples import SolvedExample
from selftrain.report.gv_gap_summary import best_decoded_sentences, gap_summaries
from selftrain.report.history import RunHistory
from selftrain.report.page import PageContent, render_page
from selftrain.report.team import team_sentences
from selftrain.report.terminal_table import render_table
from selftrain.report.verdict import caveats, unsafe, verdict, warnings
from selftrain.report.visible import visible
from selftrain.storage import Record, RunFolder
from selftrain.types import RIGHT

#: Problems shown before and after: those a run gained, and on the page also those it lost.
GAINED, LOST = 3, 2


def solved_examples(folder: RunFolder, history: RunHistory, gained: int = GAINED, lost: int = 0) -> list[SolvedExample]:
    """Problems whose greedy answer became right between round 0 and the best round, then some that became wrong.

    Of several models the problems are any model's, and say whose.
    """
    best = 0 if history.best is None else history.best.round
    rows = folder.rows(
        "select before.question, before.reference, before.completion, after.completion, "
        f"before.reward >= {RIGHT}, after.reward >= {RIGHT}, model "
        "from evaluations as before join evaluations as after using (model, problem_id) "
        f"where before.greedy and after.greedy and before.round = 0 and after.round = {best:d} "
        f"and (before.reward >= {RIGHT}) <> (after.reward >= {RIGHT}) order by problem_id, model"
    )
    several = len(history.models) > 1
    changed = [replace(SolvedExample(*row), model=model if several else None) for *row, model in rows]
    return [e for e in changed if e.after_right][:gained] + [e for e in changed if not e.after_right][:lost]


def write_report(record: Record, history: RunHistory) -> None:
    """Writes report.html."""
    folder = record.folder
    settings: Any = yaml.safe_load(folder.text("settings.yaml") or "") or {}
    environment = folder.environment()
    examples = solved_examples(folder, history, lost=LOST)
    content = PageContent(f"selftrain: {folder.path.name}", settings, environment, examples)
    record.write_text("report.html", render_page(history, content))


def print_report(folder: RunFolder, history: RunHistory) -> None:
    """The table with intervals, what it means, three problems before and after, and where everything is."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    console.print(render_table(history))
    for text, style in [*_sentences(history), *_examples(folder, history), *_paths(folder, history)]:
        # Text, not markup; and unwrapped, so that a path can be copied.
        console.print(Text(visible(text)), style=style, soft_wrap=True)


def _sentences(history: RunHistory) -> Iterator[tuple[str, str]]:
    """Lines and their style: what is unsafe and what the collapse monitor reported come first."""
    yield "", ""
    yield from ((text, "bold red") for text in unsafe(history))
    yield from ((text, "yellow") for text in warnings(history))
    yield verdict(history), "bold"
    yield from ((text, "dim") for text in caveats(history))
    yield from ((text, "") for text in team_sentences(history))
    yield from ((text, "") for text in best_decoded_sentences(history))
    yield from ((summary.sentence, "") for summary in gap_summaries(history))
    if text := _answers_extracted(history):
        yield text, ""


def _examples(folder: RunFolder, history: RunHistory) -> Iterator[tuple[str, str]]:
    for example in solved_examples(folder, history):
        yield "", ""
        yield f"{example.question}{f'   ({example.model})' if example.model else ''}", "italic"
        yield f"  before: {example.before.strip()}", ""
        yield f"  after:  {example.after.strip()}   (right: {example.reference})", ""


def _paths(folder: RunFolder, history: RunHistory) -> Iterator[tuple[str, str]]:
    best = 0 if history.best is None else history.best.round
    chosen = f"round {best}: {history.chosen_by}"
    if not best:
        chosen = "the base model"
        if history.headline_round is not None and history.validated_by is not None:
            chosen += f", since no round did better; of those that trained the best is {history.chosen_by}"
    yield "", ""
    yield f"best: {folder.path / 'best'} ({chosen})", ""
    yield f"page: {(folder.path / 'report.html').resolve()}", ""


def _answers_extracted(history: RunHistory) -> str:
    """The share of evaluation answers that could be read: if it is low, their form may be wrong, not the answers."""
    evaluated = [record for record in history.evaluated if not record.team]
    last = [record.metrics for record in evaluated if record.round == evaluated[-1].round]
    unread = [metrics["parse_failure_rate"].value for metrics in last if "parse_failure_rate" in metrics]
    if not unread:
        return ""
    return f"answers that could be read in the last evaluation: {100 * (1 - sum(unread) / len(unread)):.1f} %"
