"""The gain that is told to be visible, against simulated evaluations that are tested as the report tests them."""

from __future__ import annotations

import numpy as np
import pytest

from selftrain.evaluation.compare import paired
from selftrain.evaluation.power import ALPHA, LOST, POWER, smallest_gain
from selftrain.loop.plan.record import EvaluationPlan
from selftrain.problems.splits import ENOUGH, held_out


def simulated(problems: int, comparisons: int, step: float = 0.0025) -> float:
    """The smallest gain that `paired` finds in 80 % of 1,500 simulated runs that have it; gains rise step by step."""
    rng, verdicts = np.random.default_rng(0), dict[tuple[int, int], bool]()
    for gain in np.arange(step, 1 - 2 * LOST, step):
        counts = rng.multinomial(problems, [LOST + gain, LOST, 1 - 2 * LOST - gain], size=1500)
        for gained, lost, same in {tuple(map(int, row)) for row in counts} - {(*key, -1) for key in verdicts}:
            if (gained, lost) not in verdicts:
                base = dict(enumerate([0.0] * gained + [1.0] * lost + [0.0] * same))
                new = dict(enumerate([1.0] * gained + [0.0] * lost + [0.0] * same))
                found = paired("greedy", base, new, list(base))
                verdicts[gained, lost] = found.difference > 0 and found.p_value < ALPHA / comparisons
        if np.mean([verdicts[int(gained), int(lost)] for gained, lost, _ in counts]) >= POWER:
            return float(gain)
    return 1.0


@pytest.mark.parametrize(("problems", "comparisons"), [(60, 1), (170, 1), (400, 3)])
def test_the_smallest_gain_is_that_of_a_simulation_within_a_point(problems: int, comparisons: int) -> None:
    assert smallest_gain(problems, comparisons) == pytest.approx(simulated(problems, comparisons), abs=0.01)


def test_where_no_gain_can_be_significant_none_is_promised() -> None:
    assert smallest_gain(4) == 1.0
    assert smallest_gain(1000) < smallest_gain(100) < smallest_gain(20) < 1


def test_what_is_held_out_shows_ten_points_or_is_a_third() -> None:
    assert smallest_gain(ENOUGH) <= 0.10 < smallest_gain(ENOUGH - 3)
    assert [held_out(count, None) for count in (2, 300, 1000, 7500)] == [1, 100, 170, 750]
    assert (held_out(300, 0.2), held_out(300, 40.0)) == (60, 40)


def test_a_plan_says_which_gain_is_found_or_that_none_is() -> None:
    said = {n: [*EvaluationPlan(problems=n, rounds=(0, 1), comparisons=1, smallest_gain=smallest_gain(n)).lines()]
            for n in (1, 2, 100)}  # fmt: skip
    assert said[1][0].startswith("1 problem is too few for any gain to be found; give more: --eval_size")
    assert said[2][0].startswith("2 problems are too few for any gain to be found; give more: --eval_size")
    assert said[100][0].startswith("with 100 problems a gain of 14.2 points or more is found in four of five runs")
