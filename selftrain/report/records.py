"""Reading the lines of a run's `rounds.jsonl`, and saying their numbers in words that are the same everywhere.

A line is one round of one model; round 0 is the untouched model. What a line lacks was not measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Line = Mapping[str, Any]


def models(rounds: Iterable[Line]) -> list[str]:
    """The models of a run, in order of appearance."""
    return list(dict.fromkeys(line["model"] for line in rounds))


def of_model(rounds: Iterable[Line], model: str) -> list[Line]:
    return sorted((line for line in rounds if line["model"] == model), key=lambda line: int(line["round"]))


def metrics_of(line: Line) -> Mapping[str, Any]:
    return line.get("metrics") or {}


def against_base(line: Line) -> Mapping[str, Any]:
    return line.get("against_base") or {}


def all_metrics(rounds: Sequence[Line]) -> list[str]:
    return list(dict.fromkeys(metric for line in rounds for metric in metrics_of(line)))


def accuracies(rounds: Sequence[Line]) -> list[str]:
    """The four to show first: greedy, pass@1, pass@k and maj@k at the largest k."""
    found = all_metrics(rounds)

    def largest(kind: str) -> list[str]:
        ks = [int(metric.partition("@")[2]) for metric in found if metric.startswith(f"{kind}@")]
        return [f"{kind}@{max(ks)}"] if ks else []

    shown = [metric for metric in ("greedy", "pass@1") if metric in found] + largest("pass") + largest("maj")
    return list(dict.fromkeys(shown))


def is_accuracy(metric: str) -> bool:
    return metric.partition("@")[0] in ("greedy", "pass", "maj")


def is_share(metric: str) -> bool:
    return is_accuracy(metric) or metric.endswith("_rate")


def round_name(number: int) -> str:
    return f"round {number}" if number else "base"


def number(value: float | None, form: str = ",.4g") -> str:
    """1234.5 as 1,234 and nothing measured, or no number, as a dash."""
    return "–" if value is None or not math.isfinite(value) else format(value, form)


def percent(value: float | None) -> str:
    return number(None if value is None else 100 * value, "z.1f")


def estimate(metric: str, of: Mapping[str, Any] | None) -> str:
    """57.3 [55.1, 59.4]: a share in percent, anything else as it is, with its 95 % interval."""
    if of is None:
        return "–"
    if metric == "unjudged":
        return number(of["value"], ",.0f")
    say = percent if is_share(metric) else number
    return f"{say(of['value'])} [{say(of['low'])}, {say(of['high'])}]"


def points(share: float) -> str:
    """A difference of shares in percent points, with its sign: +11.2."""
    return number(100 * share, "+z.1f")


def difference(comparison: Mapping[str, Any]) -> str:
    """+11.2 points [8.9, 13.5]"""
    return f"{points(comparison['difference'])} points [{percent(comparison['low'])}, {percent(comparison['high'])}]"


def p_value(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
