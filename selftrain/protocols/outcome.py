"""What models came to under a protocol: figures, paired differences, and how both are printed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from selftrain.evaluation import Comparison, EvalResult
from selftrain.evaluation.compare import paired
from selftrain.evaluation.metrics import measure, per_problem
from selftrain.protocols.base import EvalProtocol
from selftrain.protocols.harness_files import Evaluated
from selftrain.protocols.harness_table import harness_table


@dataclass(frozen=True)
class ModelOutcome:
    """What one model came to."""

    evaluated: Evaluated
    results: Sequence[EvalResult]
    #: What results_*.json holds.
    figures: Mapping[str, Any]


def compared(outcomes: Sequence[ModelOutcome]) -> dict[str, dict[str, Comparison]]:
    """Every model after the first against it, by model, then by figure: paired by problem, McNemar and Tango."""
    base = per_problem(outcomes[0].results)
    found: dict[str, dict[str, Comparison]] = {}
    for outcome in outcomes[1:]:
        values = per_problem(outcome.results)
        found[outcome.evaluated.model] = {
            _figure(name, outcome.evaluated.protocol): replace(
                paired("greedy", base[name], values[name], both), metric=_figure(name, outcome.evaluated.protocol)
            )
            for name in values
            if name.startswith("greedy") and (both := sorted(values[name].keys() & base.get(name, {}).keys()))
        }
    return found


def _figure(metric: str, protocol: EvalProtocol) -> str:
    """Our name of a greedy accuracy as the protocol calls it."""
    first = next(iter(protocol.filters)) if len(protocol.filters) > 1 else protocol.metric_names[0]
    return metric.removeprefix("greedy_") if metric != "greedy" else first


def as_text(outcomes: Sequence[ModelOutcome]) -> str:
    """lm-eval's table of each model, what it does not show, and the paired differences."""
    parts = []
    for outcome in outcomes:
        shares = {name: found.value for name, found in measure(outcome.results).items()}
        unread = f"unread {shares['parse_failure_rate']:.1%}, " if "parse_failure_rate" in shares else ""
        parts.append(
            f"{outcome.evaluated.model}\n{harness_table(outcome.figures)}"
            f"{unread}cut off {shares['truncation_rate']:.1%}, {shares['mean_length']:.0f} tokens a mean answer\n"
        )
    base = outcomes[0].evaluated.model
    for model, figures in compared(outcomes).items() if len(outcomes) > 1 else ():
        parts.append(f"{model} against {base}, paired by problem:\n" + "".join(map(_line, figures.values())))
    return "\n".join(parts)


def _line(found: Comparison) -> str:
    return (
        f"  {found.metric}: {found.base:.4f} -> {found.new:.4f}, {found.difference * 100:+.1f} points "
        f"[{found.low * 100:.1f}, {found.high * 100:.1f}], p = {found.p_value:.3g} "
        f"({found.test}, n = {found.problems})\n"
    )


def as_json(outcomes: Sequence[ModelOutcome]) -> str:
    """What `--json` prints: what each results_*.json holds, and the paired differences."""
    pairs = {
        model: {name: vars(comparison) for name, comparison in figures.items()}
        for model, figures in (compared(outcomes) if len(outcomes) > 1 else {}).items()
    }
    return json.dumps({"results": [outcome.figures for outcome in outcomes], "paired": pairs}, indent=2)
