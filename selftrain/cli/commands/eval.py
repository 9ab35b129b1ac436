"""`selftrain eval`: measures a model, and compares it with a baseline on the same problems."""

from __future__ import annotations

from selftrain.cli.command import command
from selftrain.config import Resolved, Sections


def sections() -> Sections:
    from selftrain.cli import evaluate

    return evaluate.sections()


@command("eval", "measure a model, or compare two on the same problems", "Evaluate", sections)
def run(settings: Resolved) -> int:
    from selftrain.cli.evaluate import EvalCommandConfig, evaluate_models
    from selftrain.report.summary import as_json
    from selftrain.report.terminal_table import as_plain_text, render_table
    from selftrain.report.verdict import caveats, verdict

    history = evaluate_models(settings)
    if settings[EvalCommandConfig].json:
        print(as_json(history))
    else:
        compared = verdict(history) if settings[EvalCommandConfig].baseline else ""
        print(as_plain_text(render_table(history)), compared, *caveats(history), sep="\n")
    return 0
