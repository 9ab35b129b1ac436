"""What a finished run looks like to a person: a table, a few problems before and after, and a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from selftrain.record import RunFolder
from selftrain.report.examples import SolvedExample
from selftrain.report.html import render_page
from selftrain.report.table import render_table
from selftrain.report.verdict import caveats, verdict
from selftrain.report.visible import visible

#: Problems shown before and after: those a run gained, and on the page also those it lost.
GAINED, LOST = 3, 2


def solved_examples(folder: RunFolder, round_number: int, gained: int = GAINED, lost: int = 0) -> list[SolvedExample]:
    """Problems whose greedy answer became right between round 0 and `round_number`, then some that became wrong."""
    rows = folder.query(
        "select before.question, before.reference, before.completion, after.completion, "
        "before.reward >= 0.5, after.reward >= 0.5 "
        "from evaluations as before join evaluations as after using (model, problem_id) "
        f"where before.greedy and after.greedy and before.round = 0 and after.round = {round_number:d} "
        "and (before.reward >= 0.5) <> (after.reward >= 0.5) order by problem_id"
    ).fetchall()
    changed = [SolvedExample(*row) for row in rows]
    return [e for e in changed if e.after_right][:gained] + [e for e in changed if not e.after_right][:lost]


def write_report(folder: RunFolder, best_round: int) -> Path:
    """Writes report.html and gives its path."""
    settings: Any = yaml.safe_load((folder.path / "settings.yaml").read_text(encoding="utf-8")) or {}
    environment: Any = yaml.safe_load((folder.path / "environment.json").read_text(encoding="utf-8"))
    examples = solved_examples(folder, best_round, lost=LOST)
    page = render_page(folder.rounds(), settings, environment, examples, title=f"selftrain: {folder.path.name}")
    folder.write_text("report.html", page)
    return folder.path / "report.html"


def print_report(folder: RunFolder, best_round: int) -> None:
    """The table with intervals, what it means, three problems before and after, and where everything is."""
    from rich.console import Console
    from rich.text import Text

    rounds, console = folder.rounds(), Console()
    console.print(render_table(rounds))
    lines = [("", ""), (verdict(rounds), "bold"), *((caveat, "dim") for caveat in caveats(rounds)),
             (_answers_read(rounds[-1]), "")]  # fmt: skip
    for example in solved_examples(folder, best_round):
        lines += [("", ""), (example.question, "italic"), (f"  before: {example.before.strip()}", ""),
                  (f"  after:  {example.after.strip()}   (right: {example.reference})", "")]  # fmt: skip
    lines += [("", ""), (f"best: {folder.path / 'best'} (round {best_round}, chosen on D_val)", ""),
              (f"page: {(folder.path / 'report.html').resolve()}", "")]  # fmt: skip
    for text, style in lines:
        # Text, not markup; and unwrapped, so that a path can be copied.
        console.print(Text(visible(text)), style=style, soft_wrap=True)


def _answers_read(line: dict[str, Any]) -> str:
    """How many evaluation answers the judge could read at all: without it, a low figure may be one of form."""
    unread = line["metrics"].get("parse_failure_rate", {}).get("value", 0.0)
    return f"answers that could be read in the last evaluation: {100 * (1 - unread):.1f} %"
