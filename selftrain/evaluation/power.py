"""The smallest gain that an evaluation can show, before it is made: power of the report's own test, exactly.

Model: each problem is lost (right before, wrong after) with probability `lost`, gained with `lost + gain`, else
unchanged; problems are independent. The test is McNemar's exact one.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from selftrain.evaluation.intervals import Floats

#: Two-sided significance, as in the report; the usual chance to find a gain that is there.
ALPHA, POWER = 0.05, 0.8
#: Share of problems that a training loses while it gains others; ours: the demos lose 3 to 6 %.
LOST = 0.05
#: Halvings of the interval that holds the gain.
_STEPS = 12


def smallest_gain(problems: int, comparisons: int = 1, lost: float = LOST) -> float:
    """The smallest gain in greedy accuracy that is found significant in 80 % of all runs that have it, as a share.

    smallest_gain(300) == 0.071...

    Args:
        comparisons: how many rounds (of all models) are compared with the base model. The smallest of their p-values
            has to be below 0.05 divided by this (Holm), so several make it harder.
        lost: share of problems that get worse.

    Returns:
        1.0 where even a gain on all problems would not be significant.
    """
    low, high = 0.0, 1.0 - 2 * lost
    if power(problems, high, comparisons, lost) < POWER:
        return 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if power(problems, middle, comparisons, lost) >= POWER else (middle, high)
    return high


def power(problems: int, gain: float, comparisons: int = 1, lost: float = LOST) -> float:
    """The chance that McNemar's exact test finds a gain of this size on so many problems."""
    changed = 2 * lost + gain
    if changed <= 0:
        return 0.0
    # Beyond eight standard deviations there is nothing.
    reach = 8 * math.sqrt(problems * changed * (1 - changed)) + 8
    first, last = max(0, int(problems * changed - reach)), min(problems, int(problems * changed + reach) + 1)
    counts = np.arange(first, last + 1)
    weights = np.exp(_log_binomial(problems, counts, changed))
    needed = [_gained_needed(int(count), ALPHA / comparisons) for count in counts]
    tails = [
        _upper_tail(int(count), least, (lost + gain) / changed) for count, least in zip(counts, needed, strict=True)
    ]
    return float(weights @ np.array(tails))


@cache
def _gained_needed(changed: int, alpha: float) -> int:
    """The fewest gained ones of `changed` problems that are significant; one more than there are where none is."""
    lower_tail = np.cumsum(np.exp(_log_binomial(changed, np.arange(changed + 1), 0.5)))
    # As many lost: significant as long as twice the tail is below alpha.
    most_lost = int(np.searchsorted(2 * lower_tail, alpha)) - 1
    return changed - most_lost if most_lost >= 0 else changed + 1


def _upper_tail(count: int, least: int, share: float) -> float:
    """P(X >= least) of a binomial of `count` trials."""
    return float(np.exp(_log_binomial(count, np.arange(least, count + 1), share)).sum())


def _log_binomial(n: int, k: NDArray[np.int_], share: float) -> Floats:
    if share >= 1:
        return np.where(k == n, 0.0, -np.inf)
    logs = _log_factorials(1 << max(n, 1).bit_length())
    found: Floats = logs[n] - logs[k] - logs[n - k] + k * math.log(share) + (n - k) * math.log1p(-share)
    return found


@cache
def _log_factorials(size: int) -> Floats:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, size + 1)))])
