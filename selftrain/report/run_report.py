"""What a finished run looks like to a person: a table, a few problems before and after, and a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from selftrain.report.choice import chosen_by, headline_round, validated_by
from selftrain.report.examples import SolvedExample
from selftrain.report.gv_gap_summary import decoded_sentences, gaps
from selftrain.report.html import render_page
from selftrain.report.records import evaluated, is_together, metrics_of, models
from selftrain.report.table import render_table
from selftrain.report.team import team_sentences
from selftrain.report.verdict import caveats, unsafe, verdict, warnings
from selftrain.report.visible import visible
from selftrain.storage import Record, RunFolder

#: Problems shown before and after: those a run gained, and on the page also those it lost.
GAINED, LOST = 3, 2


def solved_examples(folder: RunFolder, round_number: int, gained: int = GAINED, lost: int = 0) -> list[SolvedExample]:
    """Problems whose greedy answer became right between round 0 and `round_number`, then some that became wrong.

    Of several models the problems are any model's, and say whose.
    """
    rows = folder.query(
        "select before.question, before.reference, before.completion, after.completion, "
        "before.reward >= 0.5, after.reward >= 0.5, model "
        "from evaluations as before join evaluations as after using (model, problem_id) "
        f"where before.greedy and after.greedy and before.round = 0 and after.round = {round_number:d} "
        "and (before.reward >= 0.5) <> (after.reward >= 0.5) order by problem_id, model"
    ).fetchall()
    several = len(models(folder.rounds())) > 1
    changed = [replace(SolvedExample(*row), model=model if several else None) for *row, model in rows]
    return [e for e in changed if e.after_right][:gained] + [e for e in changed if not e.after_right][:lost]


def write_report(record: Record, best_round: int) -> Path:
    """Writes report.html and gives its path."""
    folder = record.folder
    settings: Any = yaml.safe_load((folder.path / "settings.yaml").read_text(encoding="utf-8")) or {}
    environment: Any = yaml.safe_load((folder.path / "environment.json").read_text(encoding="utf-8"))
    examples = solved_examples(folder, best_round, lost=LOST)
    page = render_page(folder.rounds(), settings, environment, examples, title=f"selftrain: {folder.path.name}")
    record.write_text("report.html", page)
    return folder.path / "report.html"


def print_report(folder: RunFolder, best_round: int) -> None:
    """The table with intervals, what it means, three problems before and after, and where everything is."""
    from rich.console import Console
    from rich.text import Text

    rounds, console = folder.rounds(), Console()
    console.print(render_table(rounds))
    for text, style in [*_said(rounds), *_shown(folder, best_round), *_where(folder, rounds, best_round)]:
        # Text, not markup; and unwrapped, so that a path can be copied.
        console.print(Text(visible(text)), style=style, soft_wrap=True)


def _said(rounds: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Lines and their style: what is unsafe and what the watch said come first."""
    yield "", ""
    yield from ((told, "bold red") for told in unsafe(rounds))
    yield from ((warning, "yellow") for warning in warnings(rounds))
    yield verdict(rounds), "bold"
    yield from ((caveat, "dim") for caveat in caveats(rounds))
    yield from ((sentence, "") for sentence in team_sentences(rounds))
    yield from ((sentence, "") for sentence in decoded_sentences(rounds))
    yield from ((gap.sentence, "") for gap in gaps(rounds))
    if read := _answers_read(rounds):
        yield read, ""


def _shown(folder: RunFolder, best_round: int) -> Iterator[tuple[str, str]]:
    for example in solved_examples(folder, best_round):
        yield "", ""
        yield f"{example.question}{f'   ({example.model})' if example.model else ''}", "italic"
        yield f"  before: {example.before.strip()}", ""
        yield f"  after:  {example.after.strip()}   (right: {example.reference})", ""


def _where(folder: RunFolder, rounds: Sequence[dict[str, Any]], best_round: int) -> Iterator[tuple[str, str]]:
    chosen = f"round {best_round}: {chosen_by(rounds)}"
    if not best_round:
        chosen = "the base model"
        if headline_round(rounds) is not None and validated_by(rounds) is not None:
            chosen += f", for no round did better; the best is {chosen_by(rounds)}"
    yield "", ""
    yield f"best: {folder.path / 'best'} ({chosen})", ""
    yield f"page: {(folder.path / 'report.html').resolve()}", ""


def _answers_read(rounds: Sequence[dict[str, Any]]) -> str:
    """How many evaluation answers the judge could read at all: without it, a low figure may be one of form."""
    measured = [line for line in evaluated(rounds) if not is_together(line)]
    last = [metrics_of(line) for line in measured if line["round"] == measured[-1]["round"]]
    unread = [of["parse_failure_rate"]["value"] for of in last if "parse_failure_rate" in of]
    if not unread:
        return ""
    return f"answers that could be read in the last evaluation: {100 * (1 - sum(unread) / len(unread)):.1f} %"
