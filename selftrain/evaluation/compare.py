"""Is a model better than another? Always on the same problems, and problem by problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from selftrain.errors import RunError
from selftrain.evaluation.intervals import bootstrap, mcnemar, sign_flips, tango
from selftrain.evaluation.metrics import per_problem
from selftrain.evaluation.results import Comparison, EvalResult


def compare(base: Sequence[EvalResult], new: Sequence[EvalResult]) -> dict[str, Comparison]:
    """`new` against `base` in greedy accuracy, pass@k and maj@n, as far as both have them.

    greedy    McNemar's exact test, with Tango's score interval of the paired difference
    others    sign-flip permutation test of the per-problem differences, with their bootstrap interval

    Each p-value is of one test, not corrected for comparing several rounds.

    Raises:
        RunError: the two share no problem.
    """
    if not {result.problem_id for result in base} & {result.problem_id for result in new}:
        raise RunError(
            f"the two evaluations ({len(base)} and {len(new)} problems) share no problem",
            "a comparison is paired: it needs the answers of both models to the same problems",
            "evaluate both models on the same problems",
        )
    new_values, base_values = per_problem(new), per_problem(base)
    return {
        metric: paired(metric, base_values[metric], values, both)
        for metric, values in new_values.items()
        if metric.partition("@")[0] in ("greedy", "pass", "maj")
        and (both := sorted(values.keys() & base_values.get(metric, {}).keys()))
    }


def paired(metric: str, base: Mapping[str, float], new: Mapping[str, float], both: Sequence[str]) -> Comparison:
    """Two models' values of one metric over the problems `both`; McNemar for "greedy", sign flips for all else."""
    before, after = (np.array([values[problem_id] for problem_id in both]) for values in (base, new))
    # Equal differences may differ in the last bits; rounding makes them equal again.
    differences = np.round(after - before, 12)
    if metric == "greedy":
        gained, lost = int((differences > 0).sum()), int((differences < 0).sum())
        (low, high), p_value, test = tango(gained, lost, len(both)), mcnemar(gained, lost), "McNemar exact"
    else:
        (low, high), p_value, test = bootstrap(differences), sign_flips(differences), "sign-flip permutation"
    return Comparison(
        metric=metric,
        base=float(before.mean()),
        new=float(after.mean()),
        difference=float(differences.mean()),
        low=low,
        high=high,
        p_value=p_value,
        test=test,
        problems=len(both),
    )
