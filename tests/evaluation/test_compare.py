import time

import numpy as np
import pytest

from selftrain.errors import RunError
from selftrain.evaluation.compare import compare
from selftrain.evaluation.intervals import mcnemar, tango
from selftrain.evaluation.metrics import measure

from .answers import UNJUDGED, coins, eval_result, right, sample, wrong


def test_greedy_by_hand() -> None:
    base = coins(20, 0, [0] * 20, [1] * 8 + [0] * 12)
    new = coins(20, 0, [0] * 20, [1] * 6 + [0] * 2 + [1] * 9 + [0] * 3)
    found = compare(base, new)["greedy"]
    assert (found.base, found.new, found.difference) == pytest.approx((0.4, 0.75, 0.35))
    assert found.p_value == mcnemar(9, 2)
    assert (found.low, found.high) == tango(9, 2, 20)
    assert (found.test, found.problems) == ("McNemar exact", 20)


def test_sampled_metrics_see_a_gain_and_name_their_test() -> None:
    rng = np.random.default_rng(0)
    base, new = rng.binomial(8, 0.3, 200), rng.binomial(8, 0.4, 200)
    found = compare(coins(200, 8, list(base)), coins(200, 8, list(new)))
    assert set(found) == {"pass@1", "pass@2", "pass@4", "pass@8", "maj@8"}
    first = found["pass@1"]
    assert first.difference == pytest.approx((new - base).mean() / 8)
    assert 0 < first.low < first.difference < first.high
    assert first.p_value < 0.01
    assert first.test == "sign-flip permutation"


def test_the_same_answers_differ_by_nothing_but_not_for_certain() -> None:
    same = coins(30, 4, [2] * 30, [1] * 30)
    for found in compare(same, same).values():
        assert found.difference == 0
        assert found.low < 0 < found.high
        assert found.p_value == 1.0


@pytest.mark.parametrize("times", [50, pytest.param(500, marks=pytest.mark.slow)])
def test_no_difference_is_found_as_seldom_as_promised(times: int) -> None:
    rng = np.random.default_rng(7)
    ps = []
    for p in rng.uniform(0.2, 0.8, times):
        base, new = (coins(30, 2, list(rng.binomial(2, p, 30))) for _ in range(2))
        ps.append(compare(base, new)["pass@1"].p_value)
    assert np.mean(np.array(ps) < 0.05) <= 0.1


def test_problems_are_paired_by_id_over_those_both_answered() -> None:
    base = [
        eval_result("a", greedy=wrong()),
        eval_result("b", greedy=right()),
        eval_result("only base", greedy=right()),
    ]
    new = [eval_result("b", greedy=right()), eval_result("a", greedy=right()), eval_result("only new", greedy=wrong())]
    found = compare(base, new)["greedy"]
    assert (found.base, found.new, found.problems) == (0.5, 1.0, 2)


def test_a_problem_unjudged_on_one_side_is_no_pair() -> None:
    base = [eval_result("a", greedy=UNJUDGED), eval_result("b", greedy=wrong())]
    new = [eval_result("a", greedy=right()), eval_result("b", greedy=wrong())]
    assert compare(base, new)["greedy"].problems == 1


def test_only_metrics_that_both_have() -> None:
    found = compare(coins(4, 4, [1] * 4), coins(4, 8, [2] * 4))
    assert set(found) == {"pass@1", "pass@2", "pass@4"}
    blind = [eval_result(i, sample(1.0, None), sample(0.0, None)) for i in range(4)]
    assert set(compare(coins(4, 2, [1] * 4), blind)) == {"pass@1", "pass@2"}


def test_nothing_in_common_is_refused() -> None:
    with pytest.raises(RunError, match="share no problem"):
        compare([eval_result("a", greedy=right())], [eval_result("b", greedy=right())])


def test_agrees_with_measure_on_full_sets_and_is_quick() -> None:
    rng = np.random.default_rng(1)
    base, new = (coins(1000, 8, list(rng.integers(0, 9, 1000)), list(rng.integers(0, 2, 1000))) for _ in range(2))
    start = time.process_time()
    found = compare(base, new)
    assert time.process_time() - start < 1.0
    was, now = measure(base), measure(new)
    for metric, comparison in found.items():
        assert (comparison.base, comparison.new) == pytest.approx((was[metric].value, now[metric].value))
        assert comparison.difference == pytest.approx(now[metric].value - was[metric].value)
    assert found == compare(base, new)
