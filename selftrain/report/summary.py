"""The verdict for programs: the same findings as `verdict`, as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from selftrain.report.records import Line
from selftrain.report.verdict import caveats, chosen_and_last, verdict


def summary(rounds: Sequence[Line]) -> dict[str, Any]:
    """{"verdict": "Round 2 beats ...", "models": {"llama": {"round": 2, "outcome": "better", ...}}, ...}"""
    return {
        "verdict": verdict(rounds),
        "caveats": caveats(rounds),
        "models": {
            model: {"round": chosen.line["round"], "outcome": chosen.outcome, "p_holm": chosen.p, **chosen.comparison}
            for model, (chosen, *_) in chosen_and_last(rounds).items()
        },
        "rounds": list(rounds),
    }


def as_json(rounds: Sequence[Line]) -> str:
    """The summary as strict JSON: ASCII, and null for what is no number, such as the loss of a failed training."""
    return json.dumps(_finite(summary(rounds)), indent=2, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
