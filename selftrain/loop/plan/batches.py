"""How long sampling takes on several GPUs, in closed form: batches of responses, each as long as its longest one."""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist

#: Steps of the sum that approximates an integral over lengths.
_STEPS = 500


@cache
def mean_of_longest(count: float, mean: float, spread: float, limit: int) -> float:
    """Expected length of the longest of `count` responses, in tokens.

    Lengths are lognormal and cut off at the limit: the integral of 1 - P(length <= x)^count from 0 to the limit.

    Args:
        mean: mean length before the cut.
        spread: standard deviation of the logarithm of the length.
    """
    normal = NormalDist(math.log(mean) - spread**2 / 2, spread)
    # Of a million hardly any is more than six standard deviations above the median.
    width = min(limit, math.exp(normal.mean + 6 * spread)) / _STEPS
    middles = (math.log((step + 0.5) * width) for step in range(_STEPS))
    return float(width * sum(1 - normal.cdf(middle) ** count for middle in middles))


def waves(batches: float, places: float) -> int:
    """How many batches the busiest of `places` computes, one after another. Exact where all take equally long."""
    return max(1, math.ceil(batches / places - 1e-9))
