"""The base model by temperature: what is chosen, and that it is not chosen on what is reported."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from selftrain.errors import RunError
from selftrain.evaluation import EvalConfig, EvalResult, Sweep, evaluate
from selftrain.evaluation.intervals import sign_flips
from selftrain.evaluation.metrics import measure
from selftrain.evaluation.sweep import against_best_decoded, best_of, sweep

from .answers import UNJUDGED, coins, eval_result, right, wrong
from .models import TASK, read_only, toy


def swept(*temperatures: float) -> Sweep:
    return sweep(toy(1.0, 0.0, 0.0), TASK, EvalConfig(temperature_sweep=temperatures, top_p_eval=1.0))


def test_the_better_temperature_is_chosen_for_both_halves() -> None:
    found = best_of({0.0: coins(20, 0, [0] * 20, [0] * 20), 0.6: coins(20, 4, [3] * 20), 1.0: coins(20, 4, [1] * 20)})
    assert found.chosen == (0.6, 0.6)
    assert {t: e.value for t, e in found.by_temperature.items()} == {"0": 0.0, "0.6": 0.75, "1": 0.25}
    assert found.best_decoded == {str(i): 0.75 for i in range(20)}
    assert (found.estimate.value, found.estimate.count) == (0.75, 20)
    assert found.estimate.low < 0.75 < found.estimate.high


def test_each_half_is_measured_at_what_was_best_on_the_other() -> None:
    first = best_of({1.0: coins(10, 2, [1] * 10)})
    half = list(first.best_decoded)[:5]
    cold = [eval_result(i, right() if str(i) in half else wrong()) for i in range(10)]
    hot = [eval_result(i, wrong() if str(i) in half else right()) for i in range(10)]
    found = best_of({0.5: cold, 1.0: hot})
    # On its own half each temperature is perfect; chosen on the other half, it is of no use here.
    assert found.chosen == (1.0, 0.5)
    assert set(found.best_decoded.values()) == {0.0}
    assert found.estimate.value == 0.0


def test_of_many_equal_temperatures_the_best_is_not_flattered() -> None:
    """Thirty equally good settings: the best looks better than 0.5 on what it was chosen on, not on the other half."""
    rng = np.random.default_rng(0)
    naive, fair = [], []
    for _ in range(30):
        answers = {t / 10: coins(20, 1, list(rng.binomial(1, 0.5, 20))) for t in range(1, 31)}
        found = best_of(answers)
        naive.append(max(e.value for e in found.by_temperature.values()))
        fair.append(found.estimate.value)
    assert np.mean(naive) > 0.65
    assert np.mean(fair) == pytest.approx(0.5, abs=0.07)


def test_ties_go_to_the_first_named() -> None:
    same = coins(6, 2, [1] * 6)
    assert best_of({0.7: same, 0.3: same}).chosen == (0.7, 0.7)


def test_the_toy_is_better_the_colder() -> None:
    found = swept(1.0, 0.0, 2.0, 1.0)
    assert list(found.by_temperature) == ["1", "0", "2"]
    assert found.by_temperature["0"].value == 1.0
    assert found.by_temperature["0"].value > found.by_temperature["1"].value > found.by_temperature["2"].value
    assert found.chosen == (0.0, 0.0)
    assert json.loads(json.dumps(asdict(found)))["estimate"]["value"] == 1.0
    assert found == swept(1.0, 0.0, 2.0)


def test_a_trained_model_against_the_best_decoded_base() -> None:
    base = swept(0.0, 1.0)
    trained = evaluate(toy(2.0, 0.0, 0.0), TASK, EvalConfig(num_generations_eval=4))
    found = against_best_decoded(base, trained)
    assert set(found) == {"pass@1 against the best-decoded base", "greedy against the best-decoded base"}
    first = found["pass@1 against the best-decoded base"]
    assert (first.metric, first.base, first.problems) == ("pass@1 against the best-decoded base", 1.0, 60)
    assert first.new == pytest.approx(measure(trained)["pass@1"].value)
    assert first.difference < 0
    assert first.test == "sign-flip permutation"
    assert found["greedy against the best-decoded base"].difference == 0.0


def test_the_comparison_by_hand() -> None:
    base = best_of({1.0: coins(4, 4, [1, 2, 3, 4])})
    found = against_best_decoded(base, coins(4, 4, [2, 2, 4, 4], [1, 0, 1, 1]))
    pass_1 = found["pass@1 against the best-decoded base"]
    assert (pass_1.base, pass_1.new, pass_1.difference) == (0.625, 0.75, 0.125)
    assert pass_1.p_value == sign_flips(np.array([0.25, 0.0, 0.25, 0.0]))
    assert found["greedy against the best-decoded base"].difference == pytest.approx(0.125)


def test_unjudged_problems_are_left_out() -> None:
    some = [*coins(6, 2, [1] * 6), eval_result("x", UNJUDGED, UNJUDGED)]
    found = best_of({0.5: some, 1.0: [*coins(6, 2, [2] * 6), eval_result("x", right(), right())]})
    assert "x" not in found.best_decoded
    assert found.estimate.count == 6


@pytest.mark.parametrize("answers", [{}, {1.0: []}, {1.0: coins(1, 2, [1])}, {1.0: [eval_result("x", UNJUDGED)]}])
def test_too_little_to_choose_by(answers: dict[float, list[EvalResult]]) -> None:
    with pytest.raises(RunError, match="chosen on one half"):
        best_of(answers)


def test_answers_that_are_only_read_cannot_be_swept() -> None:
    with pytest.raises(RunError, match="verdicts on 0 problems"):
        sweep(toy(1.0, 0.0, 0.0), replace(TASK, grade=read_only), EvalConfig(temperature_sweep=(1.0,)))
