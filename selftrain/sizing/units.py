"""How long answering takes on several GPUs, in closed form: units of answers, each as long as its longest answer."""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist

#: Steps of the sum that stands for an integral over lengths.
_STEPS = 500


@cache
def mean_of_longest(count: float, mean: float, spread: float, limit: int) -> float:
    """Expected length of the longest of `count` answers.

    Lengths are lognormal and cut off at the limit: the integral of 1 - P(length <= x)^count from 0 to it.

    Args:
        mean: of the lengths, before they are cut off.
        spread: deviation of their logarithm.
    """
    normal = NormalDist(math.log(mean) - spread**2 / 2, spread)
    # Hardly any of a million lies more than six deviations above the middle.
    width = min(limit, math.exp(normal.mean + 6 * spread)) / _STEPS
    middles = (math.log((step + 0.5) * width) for step in range(_STEPS))
    return float(width * sum(1 - normal.cdf(middle) ** count for middle in middles))


def waves(units: float, places: int) -> int:
    """How many units one after another the busiest of `places` answers. Exact where all units take equally long."""
    return max(1, math.ceil(units / places - 1e-9))
