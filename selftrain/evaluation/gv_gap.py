"""The generator-verifier gap: how much more accurate a model's answers are once it has dropped those it trusts less.

Definition 2.1 of Song et al., "Mind the Gap" (arXiv 2412.02674). The PST paper reports a gap of this name without a
public formula; two of its authors wrote this one. For problem i with answers j, u_ij is 1 if the answer is right and
s_ij is the verifier's score. Answers whose score reaches a quantile of the problem's scores are kept, ties included:

    gap      = mean_i( mean over kept u_ij - mean_j u_ij )
    relative = mean_i( the same / (1 - mean_j u_ij) ), over problems not all of whose answers are right

For models of 1 to 2 B parameters the gap may be near or below 0, where a percentage of it is meaningless.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from selftrain.errors import RunError
from selftrain.evaluation.intervals import bootstrap
from selftrain.evaluation.results import Estimate, GVGap

#: The quantile that `gap` and `relative` are given at: about the better half is kept. Ours.
PRIMARY = 0.5
#: The quantiles of the curve; 1 keeps the best answer alone (best-of-N).
QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

Table = Sequence[Sequence[float]]
Floats = NDArray[np.float64]


def gap_of(correct: Table, scores: Table, nlls: Table) -> GVGap:
    """
    Args:
        correct: `[problems][answers]`, 1 right and 0 wrong; problems may differ in their number of answers.
        scores: the verifier's, of the same shape; on any scale, higher is better.
        nlls: -log p of the whole answers, in nats, of the same shape.

    Raises:
        RunError: no problem has an answer.
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
    """Which of a problem's answers reach the score at the quantile (of two, the upper one), ties included.

    4 answers at 0.5: the two best. The threshold is one of the scores, so at least one answer is kept.
    """
    # Without the slack 0.7 * 10 would be slightly above 7, and its ceiling 8.
    threshold = np.sort(scores)[math.ceil(quantile * (len(scores) - 1) - 1e-9)]
    return np.asarray(scores >= threshold)


def _gains(rows: Sequence[tuple[Floats, Floats, Floats]], quantile: float) -> Floats:
    return np.array([u[kept(s, quantile)].mean() - u.mean() for u, s, _ in rows])


def _estimate(values: Floats) -> Estimate:
    """Rounded first: equal values may differ in the last bits, and the bootstrap looks for equal ones."""
    values = np.round(values, 12)
    mean = float(values.mean())
    low, high = bootstrap(values)
    # The interval that `bootstrap` gives for equal values is cut at -1, and a relative gap may lie below that.
    return Estimate(mean, min(low, mean), max(high, mean), len(values))


def _verifier_gap(rows: Sequence[tuple[Floats, Floats, Floats]], accuracy: float) -> float | None:
    right = np.concatenate([u for u, _, _ in rows]) > 0
    scores = np.concatenate([s for _, s, _ in rows])
    if right.all() or not right.any():
        return None
    # The upper median itself, not a mean of two: scores may be -inf.
    trusted = kept(scores, 0.5)
    return float((trusted[right].mean() + (~trusted[~right]).mean()) / 2) - accuracy
