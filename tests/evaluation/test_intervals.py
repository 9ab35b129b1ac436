"""Against scipy, against brute force, and by how often the truth is covered."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest, norm

from selftrain.evaluation import intervals as iv


@pytest.mark.parametrize(("right", "n"), [(0, 1), (0, 40), (3, 10), (573, 1000), (40, 40)])
def test_wilson_is_scipys(right: int, n: int) -> None:
    theirs = binomtest(right, n).proportion_ci(method="wilson")
    assert iv.wilson(right / n, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_z_is_the_normal_quantile() -> None:
    assert pytest.approx(norm.ppf(0.975), abs=1e-12) == iv.Z


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_exact_binomial(gained: int, lost: int) -> None:
    theirs = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert iv.mcnemar(gained, lost) == pytest.approx(theirs, abs=1e-12)


@given(st.lists(st.booleans(), min_size=2, max_size=60))
def test_means_of_single_answers_have_the_plain_wilson_interval(flags: list[bool]) -> None:
    values, n = np.array(flags, float), len(flags)
    assert iv.wilson_of_means(values, n) == pytest.approx(iv.wilson(values.mean(), n))


def test_answers_to_one_problem_are_not_counted_as_independent() -> None:
    all_or_nothing = np.array([0.0, 1.0] * 20)
    assert iv.wilson_of_means(all_or_nothing, 40 * 8) == pytest.approx(iv.wilson(0.5, 40), abs=1e-3)


def test_more_certain_where_problems_agree_but_never_more_than_all_answers_allow() -> None:
    assert iv.wilson_of_means(np.full(40, 0.5), 320) == pytest.approx(iv.wilson(0.5, 320))


def test_all_wrong_is_not_certainty() -> None:
    assert iv.wilson_of_means(np.zeros(20), 160) == pytest.approx(iv.wilson(0.0, 20))


def test_wilson_of_means_covers_where_problems_are_few_and_hard() -> None:
    rng, truth, hits = np.random.default_rng(1), 0.1, 0
    for _ in range(1000):
        share = rng.binomial(8, rng.beta(0.2, 1.8, 30)) / 8
        low, high = iv.wilson_of_means(share, 240)
        hits += low <= truth <= high
    assert 0.92 <= hits / 1000 <= 0.98


def test_normal_interval() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0])
    reach = 1.959963984540054 * values.std(ddof=1) / 2
    assert iv.normal(values) == pytest.approx((2.5 - reach, 2.5 + reach))
    assert iv.normal(np.array([7.0])) == (7.0, 7.0)


def score_by_brute_force(gained: int, lost: int, n: int, delta: float) -> float:
    """Tango's statistic with the nuisance share found by numeric maximisation instead of his formula."""

    def minus_log_likelihood(q: float) -> float:
        shares = [(gained, q + delta), (lost, q), (n - gained - lost, 1 - 2 * q - delta)]
        return -sum(k * math.log(max(p, 1e-300)) for k, p in shares if k)

    low, high = max(0.0, -delta), (1 - delta) / 2
    q = minimize_scalar(minus_log_likelihood, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
    return (gained - lost - n * delta) / math.sqrt(n * (2 * q + delta - delta * delta))


@pytest.mark.parametrize(("gained", "lost", "n"), [(12, 2, 50), (5, 5, 20), (1, 0, 44), (0, 9, 30), (160, 90, 1000)])
def test_tangos_ends_are_where_the_score_is_z(gained: int, lost: int, n: int) -> None:
    low, high = iv.tango(gained, lost, n)
    assert score_by_brute_force(gained, lost, n, low) == pytest.approx(iv.Z, abs=1e-3)
    assert score_by_brute_force(gained, lost, n, high) == pytest.approx(-iv.Z, abs=1e-3)


def test_tango_without_any_change_keeps_its_known_width() -> None:
    reach = iv.Z**2 / (50 + iv.Z**2)
    assert iv.tango(0, 0, 50) == pytest.approx((-reach, reach))


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_tango_holds_the_difference_and_mirrors(gained: int, lost: int, same: int) -> None:
    n = gained + lost + same
    if n:
        low, high = iv.tango(gained, lost, n)
        assert -1 <= low <= (gained - lost) / n <= high <= 1
        assert iv.tango(lost, gained, n) == pytest.approx((-high, -low), abs=1e-9)


def test_tango_covers() -> None:
    rng, hits = np.random.default_rng(2), 0
    for gained, lost, _ in rng.multinomial(60, [0.2, 0.1, 0.7], size=1000):
        low, high = iv.tango(int(gained), int(lost), 60)
        hits += low <= 0.1 <= high
    assert 0.93 <= hits / 1000 <= 0.97


def test_bootstrap_is_the_plain_one_on_indices() -> None:
    rng = np.random.default_rng(3)
    values = np.round(rng.normal(0.1, 0.3, 200), 1)
    plain = np.quantile(values[rng.integers(0, 200, (10_000, 200))].mean(axis=1), [0.025, 0.975])
    assert iv.bootstrap(values) == pytest.approx(tuple(plain), abs=0.003)


@pytest.mark.parametrize("times", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_bootstrap_covers(times: int) -> None:
    rng, hits = np.random.default_rng(4), 0
    for _ in range(times):
        low, high = iv.bootstrap((rng.binomial(4, 0.5, 100) - rng.binomial(4, 0.4, 100)) / 4)
        hits += low <= 0.1 <= high
    assert 0.91 <= hits / times <= 0.99


def test_bootstrap_of_equal_differences_is_not_certainty() -> None:
    assert iv.bootstrap(np.zeros(50)) == pytest.approx(iv.tango(0, 0, 50))
    assert iv.bootstrap(np.ones(1))[1] == 1.0


@settings(max_examples=10)
@given(st.lists(st.sampled_from([-0.5, -0.25, 0.0, 0.125, 0.75]), min_size=1, max_size=9))
def test_sign_flips_against_all_flips(differences: list[float]) -> None:
    total = abs(sum(differences))
    flips = [sum(s * d for s, d in zip(signs, differences, strict=True)) for signs in signs_of(len(differences))]
    exact = sum(abs(f) >= total - 1e-9 for f in flips) / len(flips)
    assert iv.sign_flips(np.array(differences)) == pytest.approx(exact, abs=0.02)


def signs_of(n: int) -> list[tuple[int, ...]]:
    return list(itertools.product((-1, 1), repeat=n))


def test_sign_flips_are_never_impossible() -> None:
    assert iv.sign_flips(np.ones(100)) == 1 / 10_001
    assert iv.sign_flips(np.zeros(100)) == 1.0
