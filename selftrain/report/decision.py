"""What to do after a run, in one line: use a round, or keep the base model."""

from __future__ import annotations

from dataclasses import dataclass

from selftrain.report.findings import Finding, Outcome, Tested, headline_findings, lower_temperature
from selftrain.report.formatting import points
from selftrain.report.history import RunHistory
from selftrain.report.verdict import BLIND, nothing_compared
from selftrain.report.visible import visible

#: Models that a headline names one by one, at most.
_NAMED = 3


@dataclass(frozen=True)
class Decision:
    """Decision("Use round 2", "+16.2 points greedy", "better") is read "Use round 2: +16.2 points greedy"."""

    what: str
    why: str
    tone: Outcome

    def __str__(self) -> str:
        return f"{self.what}: {self.why}" if self.why else self.what


def decide(history: RunHistory) -> Decision:
    """For all models of a run together.

    The round is the one that the validation problems chose; whether it helped is tested on the evaluation problems. So
    a base model that validation has kept as best is kept, whatever these show.
    """
    found = {model: findings[0] for model, findings in headline_findings(history).items()}
    if history.is_blind or not found:
        what, _, why = (BLIND if history.is_blind else nothing_compared(history)).partition(": ")
        return Decision(what, why.rstrip("."), "unclear")
    each = {model: of_model(history, finding) for model, finding in found.items()}
    if len(each) == 1:
        return next(iter(each.values()))
    better = [visible(model) for model, decision in each.items() if decision.tone == "better"]
    number = next(iter(found.values())).record.round
    if not better and history.best_round == 0:
        return Decision("Keep the base models", "validation chose them", "unclear")
    if not better:
        return Decision("No gain shown", "keep the base models", "unclear")
    if len(better) == len(each):
        return Decision(f"Use round {number}", f"all {len(each)} models gained", "better")
    which = ", ".join(better) if len(better) <= _NAMED else f"{len(better)} of {len(each)} models"
    return Decision(f"Use round {number} of {which}", "no gain shown in the others", "better")


def of_model(history: RunHistory, finding: Finding) -> Decision:
    """For one model."""
    second, outcome, base = finding.pass_at_1, finding.outcome, finding.base
    sampled = "unclear" if second is None else second.outcome
    gain, beside = _points(finding.primary), _points(second or finding.primary)
    # "round 2" within a sentence; the name of a model as it is.
    who = f"round {finding.record.round}" if finding.subject.startswith("Round ") else finding.subject
    if history.best_round == 0 and "better" in (outcome, sampled):
        which = gain if outcome == "better" else f"{beside} in pass@1"
        return Decision(f"Keep {base}", f"validation chose it, though {who} shows {which} here", "unclear")
    if outcome == "better" and sampled == "worse":
        return Decision(f"Use {who} for greedy answers", f"{gain}, but {beside} in pass@1", "better")
    if outcome == "better":
        return Decision(f"Use {who}", gain if finding.metric == "greedy" else f"{gain} in {finding.metric}", "better")
    if outcome == "worse":
        also = f", though {beside} in pass@1" if sampled == "better" else ""
        return Decision(f"Keep {base}", f"{who} shows {gain}{also}", "worse")
    if sampled == "worse":
        return Decision(f"Keep {base}", f"{who} shows {beside} in pass@1", "worse")
    if sampled == "better" and lower_temperature(finding) is not None:
        return Decision(f"Keep {base}", "a lower temperature gains as much without training", "unclear")
    if sampled == "better":
        return Decision(f"Use {who} where you sample", f"{beside} in pass@1, no gain shown in greedy", "better")
    return Decision("No gain shown", f"keep {base}", "unclear")


def _points(tested: Tested) -> str:
    return f"{points(tested.comparison.difference)} points"
