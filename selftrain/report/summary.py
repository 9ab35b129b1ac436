"""The verdict for programs: the same findings as `verdict`, as JSON."""

from __future__ import annotations

import json
from typing import Any

from selftrain.report.findings import Tested, headline_findings
from selftrain.report.history import RunHistory
from selftrain.report.verdict import caveats, unsafe, verdict
from selftrain.storage.typed_json import to_plain


def summary(history: RunHistory) -> dict[str, Any]:
    """{"verdict": "Round 2 beats ...", "models": {"llama": {"round": 2, "outcome": "better", ...}}, ...}

    A model's own keys are of the metric that decides; where that is greedy, those of "pass@1" stand beside it.
    """
    return {
        "verdict": verdict(history),
        "unsafe": unsafe(history),
        "caveats": caveats(history),
        "models": {
            model: {"round": chosen.record.round, **_tested(chosen.primary)}
            | ({"pass@1": _tested(chosen.pass_at_1)} if chosen.pass_at_1 else {})
            for model, (chosen, *_) in headline_findings(history).items()
        },
        "rounds": [record.to_dict() for record in history.records],
    }


def _tested(tested: Tested) -> dict[str, Any]:
    return {"outcome": tested.outcome, "p_holm": tested.p, **to_plain(tested.comparison)}


def as_json(history: RunHistory, **more: object) -> str:
    """What `--json` prints: `more`, then the summary. Strict JSON in ASCII, with null for what is not finite."""
    return json.dumps(to_plain(more) | summary(history), indent=2, allow_nan=False)
