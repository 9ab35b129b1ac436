"""The generator-verifier gap: how much better a model's answers are after it has thrown out those it trusts less.

Definition 2.1 of Song et al., "Mind the Gap" (arXiv 2412.02674). The PST paper reports a gap of this name without a
public formula; two of its authors wrote this one. For question i with answers j, right or not u_ij and scored s_ij by
the verifier, a quantile α of the question's scores is the bar, and what reaches it is kept (ties too):

    gap      = mean_i( mean over kept u_ij − mean_j u_ij )
    relative = mean_i( the same / (1 − mean_j u_ij) ), over questions not all of whose answers are right

For models of 1 to 2 B parameters the gap may be near or below 0, and a percentage of it means nothing then.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selftrain.errors import RunError
from selftrain.evaluation.intervals import bootstrap
from selftrain.evaluation.metrics import Estimate

#: The quantile that `gap` and `relative` are given at: about the better half is kept. Ours.
PRIMARY = 0.5
#: The quantiles of the curve; 1 keeps the best answer alone (best-of-N).
QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

Table = Sequence[Sequence[float]]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GVGap:
    """The gap of one model, with bootstrap intervals over questions.

    GVGap(accuracy=0.41, gap=Estimate(0.052, 0.03, 0.07, 200), relative=Estimate(0.09, ...),
          curve={"0.5": 0.052, "1": 0.08}, acc_gap_verify=0.12, gap_unc=4.1)
    """

    #: Mean share right of all answers.
    accuracy: float
    #: At the quantile `PRIMARY`.
    gap: Estimate
    #: None where every answer to every question is right.
    relative: Estimate | None
    #: Quantile, as text -> gap.
    curve: dict[str, float]
    #: Balanced accuracy of the verifier, which calls an answer right where its score reaches the median of all scores,
    #: minus `accuracy`. None where all answers are right or all are wrong.
    acc_gap_verify: float | None
    #: Mean −log p of an answer minus that of the answer with the best score (the mean where several have it), in nats:
    #: how much surer the model is of what its verifier selects.
    gap_unc: float


@dataclass(frozen=True)
class Reduction:
    """How far a gap shrank. `percent` is None where it would mean nothing; `why_no_percent` says why."""

    before: Estimate
    after: Estimate
    absolute: float
    percent: float | None
    why_no_percent: str | None


def gap_of(correct: Table, scores: Table, nlls: Table) -> GVGap:
    """The gap of answers that were judged and verified.

    Args:
        correct: `[questions][answers]`, 1 right and 0 wrong; questions may differ in their number of answers.
        scores: the verifier's, in the same places; any scale, more is better.
        nlls: −log p of the whole answers, in nats, in the same places.

    Raises:
        RunError: no question has an answer.
    """
    rows = [
        (np.array(u, dtype=float), np.array(s, dtype=float), np.array(nll, dtype=float))
        for u, s, nll in zip(correct, scores, nlls, strict=True)
        if len(u)
    ]
    if not rows:
        raise RunError(
            "no answer has a verdict",
            "the generator-verifier gap compares the accuracy of kept answers with that of all",
            "give problems with reference answers, or leave the gap out with gv_gap: false",
        )
    means = np.array([u.mean() for u, _, _ in rows])
    gains = {quantile: _gains(rows, quantile) for quantile in (PRIMARY, *QUANTILES)}
    improvable = means < 1
    return GVGap(
        accuracy=float(means.mean()),
        gap=_estimate(gains[PRIMARY]),
        relative=_estimate(gains[PRIMARY][improvable] / (1 - means[improvable])) if improvable.any() else None,
        curve={f"{quantile:g}": float(gains[quantile].mean()) for quantile in QUANTILES},
        acc_gap_verify=_verifier_gap(rows, float(means.mean())),
        gap_unc=float(np.mean([nll.mean() - nll[kept(s, 1.0)].mean() for _, s, nll in rows])),
    )


def kept(scores: Floats, quantile: float) -> NDArray[np.bool_]:
    """Which of a question's answers reach the bar: the score at the quantile, the upper one between two; ties too.

    4 answers at 0.5: the two best. A bar that is one of the scores leaves no room for rounding, and at least one.
    """
    # Without the slack 0.7 · 10 would be a hair above 7, and its ceiling 8.
    bar = np.sort(scores)[math.ceil(quantile * (len(scores) - 1) - 1e-9)]
    return np.asarray(scores >= bar)


def reduction(before: GVGap, after: GVGap) -> Reduction:
    """How far the gap shrank, absolutely; in per cent of the gap before only where that one is clearly above 0."""
    absolute = before.gap.value - after.gap.value
    clear = before.gap.low > 0
    return Reduction(
        before=before.gap,
        after=after.gap,
        absolute=absolute,
        percent=100 * absolute / before.gap.value if clear else None,
        why_no_percent=None
        if clear
        else f"the gap before, {before.gap.value:+.3f}, is not clearly above 0 (from {before.gap.low:+.3f})",
    )


def _gains(rows: Sequence[tuple[Floats, Floats, Floats]], quantile: float) -> Floats:
    return np.array([u[kept(s, quantile)].mean() - u.mean() for u, s, _ in rows])


def _estimate(values: Floats) -> Estimate:
    """Rounded first: equal values may differ in the last bits, and the bootstrap looks for equal ones."""
    values = np.round(values, 12)
    mean = float(values.mean())
    low, high = bootstrap(values)
    # Of values that are all equal the bootstrap's stand-in interval ends at -1, where a relative gap does not.
    return Estimate(mean, min(low, mean), max(high, mean), len(values))


def _verifier_gap(rows: Sequence[tuple[Floats, Floats, Floats]], accuracy: float) -> float | None:
    right = np.concatenate([u for u, _, _ in rows]) > 0
    scores = np.concatenate([s for _, s, _ in rows])
    if right.all() or not right.any():
        return None
    # The middle score itself (the upper of two): scores of -inf have no mean.
    trusted = kept(scores, 0.5)
    return float((trusted[right].mean() + (~trusted[~right]).mean()) / 2) - accuracy
