import itertools
import math
import time
from dataclasses import replace
from statistics import mean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selftrain.errors import RunError
from selftrain.evaluation import EvalConfig, EvalTask, evaluate
from selftrain.evaluation.compare import compare
from selftrain.evaluation.intervals import wilson
from selftrain.evaluation.metrics import majority, measure, pass_at
from selftrain.loop.learner import Learner
from selftrain.types import RIGHT, Prompt, Sample, Score
from tests.toys.engine import ToyEngine
from tests.toys.model import ToyModel
from tests.toys.trainer import ToyTrainer

from .answers import UNJUDGED, UNREAD, coins, eval_result, right, sample, wrong


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n), st.integers(0, n))))
def test_pass_at_k_is_the_share_of_subsets_with_a_right_answer(case: tuple[int, int, int]) -> None:
    k, n, right_ones = case
    subsets = list(itertools.combinations([True] * right_ones + [False] * (n - right_ones), k))
    assert pass_at(k, n, right_ones) == pytest.approx(mean(any(s) for s in subsets))


def test_pass_at_k_beside_the_biased_plug_in_of_the_spec() -> None:
    assert pass_at(8, 64, 3) == pytest.approx(0.335, abs=5e-4)
    plug_in = 1 - (1 - 3 / 64) ** 8
    assert plug_in == pytest.approx(0.319, abs=5e-4)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([right("7"), right("7"), wrong("8")], 1.0),
        ([right("7"), wrong("8"), wrong("8")], 0.0),
        ([right("7"), wrong("8"), wrong("9")], 1 / 3),
        ([right("7"), UNREAD, UNREAD], 1.0),
        ([UNREAD, UNREAD], 0.0),
        # The grader contradicts itself on one answer: one right sample makes the class right.
        ([wrong("7"), right("7"), wrong("8")], 1.0),
    ],
)
def test_majority(samples: list, expected: float) -> None:
    assert majority(samples) == pytest.approx(expected)


def test_measure_by_hand() -> None:
    found = measure(
        [
            eval_result("a", right("1"), right("1"), right("1"), wrong("2"), greedy=right("1")),
            eval_result("b", wrong("3"), wrong("3"), UNREAD, sample(0.0, "4", tokens=7, cut=True), greedy=wrong("3")),
        ]
    )
    assert {name: estimate.value for name, estimate in found.items()} == pytest.approx(
        {
            "greedy": 1 / 2,
            "pass@1": 3 / 8,
            "pass@2": 1 / 2,
            "pass@4": 1 / 2,
            "maj@4": 1 / 2,
            "parse_failure_rate": 1 / 8,
            "distinct_answers": 2.0,
            "agreement": (3 / 4 + 2 / 4) / 2,
            "truncation_rate": 1 / 8,
            "mean_length": 3.5,
            "token_entropy": (4 / 12 + 4 / 16) / 2,
            "unjudged": 0,
        }
    )
    assert {e.count for name, e in found.items() if name != "unjudged"} == {2}
    assert found["unjudged"].count == 10


def test_greedy_has_wilsons_interval() -> None:
    greedy = measure(coins(50, 0, [0] * 50, [1] * 20 + [0] * 30))["greedy"]
    assert (greedy.low, greedy.high) == pytest.approx(wilson(0.4, 50))


def test_unjudged_answers_leave_the_denominators_and_are_counted() -> None:
    found = measure(
        [
            eval_result("a", right(), UNJUDGED, greedy=UNJUDGED),
            eval_result("b", wrong(), right(), greedy=right()),
            eval_result("c", UNJUDGED, UNJUDGED, greedy=wrong()),
        ]
    )
    assert (found["greedy"].value, found["greedy"].count) == (0.5, 2)
    assert (found["pass@1"].value, found["pass@1"].count) == (0.75, 2)
    assert (found["pass@2"].value, found["pass@2"].count) == (1.0, 1)
    assert (found["maj@2"].value, found["maj@2"].count) == (0.75, 2)
    assert found["parse_failure_rate"].value == 0.0
    assert (found["unjudged"].value, found["unjudged"].count) == (4, 9)


def test_a_graded_score_is_right_from_the_threshold_on() -> None:
    assert measure([eval_result(0, sample(RIGHT), sample(RIGHT - 0.01))])["pass@1"].value == 0.5


def test_a_grader_that_reads_no_answers_gives_no_votes() -> None:
    found = measure([eval_result(0, sample(1.0, None), sample(0.0, None))])
    assert "pass@2" in found
    assert not {"maj@2", "parse_failure_rate", "distinct_answers"} & found.keys()
    low = replace(sample(0.2, None), score=Score(0.2, None))  # by a reward function that likes nothing
    assert "parse_failure_rate" not in measure([eval_result(0, low, low)])


def test_greedy_alone_has_lengths_too() -> None:
    found = measure([eval_result(0, greedy=right())])
    assert found["mean_length"].value == 3
    assert not any("@" in name for name in found)


def test_nothing_evaluated_is_nothing_measured() -> None:
    assert set(measure([])) == {"unjudged"}


def test_answers_that_are_only_read_have_every_metric_but_those_of_right_and_wrong() -> None:
    found = measure(
        [
            eval_result(
                "a", sample(None, "1"), sample(None, "1"), sample(None, "2"), UNJUDGED, greedy=sample(None, "1")
            ),
            eval_result(
                "b", sample(None, "3"), sample(None, "3"), sample(None, "3"), sample(None, "3"), greedy=UNJUDGED
            ),
        ]
    )
    assert {name: estimate.value for name, estimate in found.items()} == pytest.approx(
        {
            "parse_failure_rate": 1 / 8,
            "distinct_answers": 1.5,
            "agreement": (2 / 4 + 1) / 2,
            "truncation_rate": 0.0,
            "mean_length": 3.0,
            "token_entropy": 1 / 3,
        }
    )
    assert compare([eval_result("a", sample(None, "1"))], [eval_result("a", sample(None, "1"))]) == {}


def test_agreement_and_its_ties() -> None:
    def agreement(*samples: Sample) -> float:
        return measure([eval_result(0, *samples)])["agreement"].value

    assert agreement(right("7"), wrong("8")) == 1 / 2
    assert agreement(UNREAD, UNREAD) == 0.0
    assert agreement(right("7"), right("7"), UNREAD, UNJUDGED) == pytest.approx(2 / 3)
    assert "agreement" not in measure([eval_result(0, greedy=right())])


def test_token_entropy_is_that_of_the_toy_at_temperature_one() -> None:
    """Its one token has a known distribution, so −log p a token goes to the entropy of that."""
    model = ToyModel([0.0, 0.5, 1.0])
    prompts = [Prompt(str(i), "What is 1+2?") for i in range(50)]
    learner = Learner(ToyEngine(model), ToyTrainer(model), "toy")
    settings = EvalConfig(num_generations_eval=64, top_p_eval=1.0)
    found = measure(
        evaluate(learner, EvalTask(prompts, lambda rs: [Score(None, r.text) for r in rs], 8, "key"), settings)
    )
    entropy = -sum(p * math.log(p) for p in model.probabilities())
    assert found["token_entropy"].low < entropy < found["token_entropy"].high
    assert found["token_entropy"].value == pytest.approx(entropy, abs=0.02)


def test_a_problem_evaluated_twice_is_refused() -> None:
    with pytest.raises(RunError, match="'a' was evaluated more than once"):
        measure([eval_result("a", right()), eval_result("a", wrong())])


@given(st.integers(1, 8).flatmap(lambda n: st.lists(st.integers(0, n), min_size=1, max_size=12).map(lambda r: (n, r))))
def test_order_among_metrics_and_values_within_their_intervals(case: tuple[int, list[int]]) -> None:
    sampled, rights = case
    found = measure(coins(len(rights), sampled, rights))
    passes = [found[f"pass@{k}"].value for k in (1, 2, 4, 8) if k <= sampled]
    assert passes == sorted(passes)
    assert found["pass@1"].value == pytest.approx(mean(rights) / sampled)
    for name, e in found.items():
        assert e.low <= e.value + 1e-12, name
        assert e.value <= e.high + 1e-12, name


def test_a_thousand_problems_in_well_under_a_second() -> None:
    many = coins(1000, 8, list(np.random.default_rng(0).integers(0, 9, 1000)), [1] * 1000)
    start = time.process_time()
    first = measure(many)
    assert time.process_time() - start < 0.5
    assert first == measure(many)
