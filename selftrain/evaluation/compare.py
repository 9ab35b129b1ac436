"""Is a model better than another? Always on the same problems, and problem by problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from selftrain.errors import RunError
from selftrain.evaluation.intervals import bootstrap, mcnemar, sign_flips, tango
from selftrain.evaluation.metrics import EvalResult, per_problem


@dataclass(frozen=True)
class Comparison:
    """A difference between two models over the `problems` that both answered, with its 95 % interval.

    Comparison("greedy", base=0.46, new=0.57, difference=0.11, low=0.09, high=0.13, p_value=1e-9,
               test="McNemar exact", problems=1000)
    """

    metric: str
    base: float
    new: float
    difference: float
    low: float
    high: float
    p_value: float
    test: str
    problems: int


def compare(base: Sequence[EvalResult], new: Sequence[EvalResult]) -> dict[str, Comparison]:
    """`new` against `base` in greedy accuracy, pass@k and maj@n, as far as both have them.

    greedy    McNemar's exact test, with Tango's score interval of the paired difference
    others    sign-flip permutation test of the per-problem differences, with their bootstrap interval

    The p-values are of single tests: who looks at several rounds has to correct for it.
    """
    if not {a.problem_id for a in base} & {a.problem_id for a in new}:
        raise RunError(
            f"the two evaluations ({len(base)} and {len(new)} problems) share no problem",
            "a comparison is paired: it needs the answers of both models to the same problems",
            "evaluate both models on the same problems",
        )
    ours, theirs = per_problem(new), per_problem(base)
    return {
        metric: paired(metric, theirs[metric], ours[metric], both)
        for metric in ours
        if metric.partition("@")[0] in ("greedy", "pass", "maj")
        and (both := sorted(ours[metric].keys() & theirs.get(metric, {}).keys()))
    }


def paired(metric: str, base: Mapping[str, float], new: Mapping[str, float], both: Sequence[str]) -> Comparison:
    """Two models' values of one metric over the problems `both`; McNemar for "greedy", sign flips for all else."""
    was, now = (np.array([values[problem_id] for problem_id in both]) for values in (base, new))
    # Equal differences may differ in the last bits; rounded, they are one value.
    differences = np.round(now - was, 12)
    if metric == "greedy":
        gained, lost = int((differences > 0).sum()), int((differences < 0).sum())
        (low, high), p_value, test = tango(gained, lost, len(both)), mcnemar(gained, lost), "McNemar exact"
    else:
        (low, high), p_value, test = bootstrap(differences), sign_flips(differences), "sign-flip permutation"
    return Comparison(
        metric=metric,
        base=float(was.mean()),
        new=float(now.mean()),
        difference=float(differences.mean()),
        low=low,
        high=high,
        p_value=p_value,
        test=test,
        problems=len(both),
    )
