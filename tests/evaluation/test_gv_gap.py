"""The generator-verifier gap, by hand and on the toy."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selftrain.errors import RunError
from selftrain.evaluation import Estimate, EvalConfig
from selftrain.evaluation.gv_gap import gap_of, kept
from selftrain.evaluation.results import reduction
from selftrain.evaluation.verifier import measure_gv_gap, verify
from selftrain.loop.learner import Learner
from selftrain.types import Prompt, SamplingParams
from tests.toys.engine import ToyEngine
from tests.toys.model import ToyModel
from tests.toys.trainer import ToyTrainer

from .models import PROMPTS, TASK, grade, read_only, toy


def flat(table: Sequence[Sequence[float]]) -> list[list[float]]:
    return [[1.0] * len(row) for row in table]


def test_two_questions_of_four_answers_by_hand() -> None:
    correct = [[1, 0, 0, 1], [0, 0, 1, 0]]
    scores = [[0.9, 0.1, 0.5, 0.2], [0.8, 0.3, 0.6, 0.6]]
    nlls = [[2.0, 4.0, 6.0, 8.0], [1.0, 1.0, 3.0, 3.0]]
    found = gap_of(correct, scores, nlls)
    # Kept at 0.5: answers 0 and 2 (1 of 2 right; of all, 2 of 4); answers 0, 2 and 3, a tie (1 of 3; of all, 1 of 4).
    assert found.accuracy == pytest.approx(3 / 8)
    assert found.gap.value == pytest.approx((0 + 1 / 12) / 2)
    assert found.relative is not None
    assert found.relative.value == pytest.approx((0 / 0.5 + (1 / 12) / 0.75) / 2)
    # The best alone: right, and wrong.
    assert found.curve["1"] == pytest.approx((0.5 - 0.25) / 2)
    # Only the worst is thrown out: 2 of 3, and 1 of 3.
    assert found.curve["0.1"] == pytest.approx((2 / 3 - 1 / 2 + 1 / 3 - 1 / 4) / 2)
    # Sorted scores .1 .2 .3 .5 | .6 .6 .8 .9: trusted are 0.9 (right); 0.8, 0.6 and 0.6 (one of them right).
    assert found.acc_gap_verify == pytest.approx((2 / 3 + 3 / 5) / 2 - 3 / 8)
    assert found.gap_unc == pytest.approx(((5 - 2) + (2 - 1)) / 2)
    assert found.gap.count == 2
    assert found.gap.low <= found.gap.value <= found.gap.high


def test_a_perfect_verifier_lifts_every_question_that_has_a_right_answer_to_one() -> None:
    correct = [[1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0]]
    found = gap_of(correct, correct, flat(correct))
    assert found.curve["1"] == pytest.approx((0.5 + 0 + 0 + 0.75) / 4)
    # The bar at 0.5 is 1 where at least half are right, so the keep set is exactly the right ones.
    halves = [[1, 0, 0, 1], [1, 1, 0, 1]]
    half = gap_of(halves, halves, flat(halves))
    assert half.gap.value == pytest.approx((0.5 + 0.25) / 2)
    assert half.relative is not None and half.relative.value == 1.0
    assert half.acc_gap_verify == pytest.approx(1 - 5 / 8)


def test_a_random_verifier_has_no_gap() -> None:
    rng = np.random.default_rng(0)
    correct = rng.binomial(1, rng.uniform(0.1, 0.9, (2000, 1)), (2000, 8)).tolist()
    found = gap_of(correct, rng.random((2000, 8)).tolist(), rng.random((2000, 8)).tolist())
    assert found.gap.low < 0 < found.gap.high
    assert all(abs(gap) < 0.03 for gap in found.curve.values())
    assert found.acc_gap_verify == pytest.approx(0.5 - found.accuracy, abs=0.02)
    assert abs(found.gap_unc) < 0.03


def test_a_verifier_without_opinion_keeps_all() -> None:
    correct = [[1, 0, 0], [0, 1, 1]]
    found = gap_of(correct, flat(correct), flat(correct))
    assert set(found.curve.values()) == {0.0}
    assert (found.gap.value, found.gap_unc) == (0.0, 0.0)
    assert found.gap.low < 0 < found.gap.high


@given(st.lists(st.integers(0, 5).map(float), min_size=1, max_size=12), st.floats(0, 1))
def test_kept_is_never_empty_and_never_leaves_a_tie_out(scores: list[float], quantile: float) -> None:
    mask = kept(np.array(scores), quantile)
    assert mask.any()
    assert min(np.array(scores)[mask]) > max(np.array(scores)[~mask], default=-1)


def test_the_bar_is_not_moved_by_rounding_and_may_be_minus_infinity() -> None:
    assert kept(np.arange(11.0), 0.7).sum() == 4
    assert kept(np.arange(16.0), 0.5).sum() == 8
    assert kept(np.array([-math.inf, -math.inf, -1.0]), 0.5).tolist() == [True, True, True]
    assert kept(np.array([-math.inf, -math.inf, -1.0]), 1.0).tolist() == [False, False, True]


def test_all_right_leaves_no_room() -> None:
    found = gap_of([[1, 1]], [[0.1, 0.2]], [[1, 1]])
    assert (found.gap.value, found.relative, found.acc_gap_verify) == (0.0, None, None)


def test_a_relative_gap_may_be_far_below_minus_one() -> None:
    found = gap_of([[1, 1, 1, 0]], [[0.0, 0.0, 0.0, 1.0]], [[1, 1, 1, 1]])
    assert found.curve["1"] == -0.75
    worst = gap_of([[1, 1, 0]], [[0.0, 0.0, 1.0]], [[1, 1, 1]])
    assert worst.relative is not None and worst.relative.low <= worst.relative.value <= worst.relative.high
    far = gap_of([[1] * 8 + [0] * 9], [[0.0] * 8 + [1.0] * 9], [[1] * 17])
    assert far.relative is not None and far.relative.low <= far.relative.value


def test_questions_may_differ_in_answers_and_those_without_are_left_out() -> None:
    assert gap_of([[1, 0], [], [0]], [[1, 0], [], [3]], [[1, 1], [], [1]]).gap.count == 2
    with pytest.raises(RunError, match="no answer has a verdict"):
        gap_of([[]], [[]], [[]])


def test_a_reduction_in_per_cent_needs_a_gap_to_begin_with() -> None:
    clear = gap_of([[1, 0, 0, 1]] * 50, [[1, 0, 0, 1]] * 50, [[1] * 4] * 50)
    some, none = Estimate(0.3, 0.2, 0.4, 50), Estimate(0.01, -0.02, 0.04, 50)
    assert clear.gap.low > 0
    found = reduction(clear.gap, some)
    assert (found.absolute, found.percent, found.why_no_percent) == (pytest.approx(0.2), pytest.approx(40.0), None)
    refused = reduction(none, some)
    assert (refused.absolute, refused.percent) == (pytest.approx(-0.29), None)
    assert refused.why_no_percent == "the gap before, +0.010, is not clearly above 0 (from -0.020)"
    assert json.loads(json.dumps(asdict(refused)))["before"]["low"] == -0.02


class Opinionated(ToyEngine):
    """A toy that calls a sum correct exactly where it is."""

    def logprob(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        self.scored = list(zip(prompts, completions, strict=True))
        return [self._opinion(prompt, completion) for prompt, completion in self.scored]

    def _opinion(self, prompt: Prompt, completion: str) -> float:
        says_right = self.model.habit_of(prompt.question.partition("\n")[0], prompt.peer_answers[0]) == 0
        return math.log(0.6 if says_right == (completion == " Correct") else 0.2)


def opinionated() -> Learner:
    model = ToyModel([0.0, 0.0, 0.0])
    return Learner(Opinionated(model), ToyTrainer(model), "base")


def test_the_verifier_is_shown_the_question_and_the_answer() -> None:
    learner = opinionated()
    responses = learner.sample(PROMPTS[:3], 2, SamplingParams(), "key")
    scores = verify(learner, responses)
    assert scores == pytest.approx([0.75 if s.value else 0.25 for s in grade(responses)])
    scored = learner.engine.scored  # type: ignore[attr-defined]
    assert [completion for _, completion in scored] == [" Correct", " Incorrect"] * 6
    assert scored[0][0] == replace(PROMPTS[0], peer_answers=(responses[0].text,), asks_verdict=True)


def test_both_impossible_is_no_opinion() -> None:
    learner = toy(0, 0, 0)
    assert verify(learner, learner.sample(PROMPTS[:2], 1, SamplingParams(), "key")) == [0.5, 0.5]
    assert verify(learner, []) == []


def test_likelihood_is_the_mean_over_tokens_of_ones_own_answer() -> None:
    learner = toy(0, 1, 2)
    (response,) = learner.sample(PROMPTS[:1], 1, SamplingParams(), "key")
    longer = replace(response, token_ids=(1, 2, 3, 4), logprob=-2.0)
    assert verify(learner, [longer, response], "likelihood") == [-0.5, response.logprob]
    with pytest.raises(RunError, match="'other' was given a response of 'toy'"):
        verify(toy(0, 1, 2, name="other"), [response], "likelihood")


def test_end_to_end_with_a_verifier_that_knows() -> None:
    settings = EvalConfig(gv_gap_problems=40, gv_gap_generations=9)
    found = measure_gv_gap(opinionated(), TASK, settings)
    assert found.gap.count == 40
    assert found.accuracy == pytest.approx(1 / 3, abs=0.1)
    assert found.curve["1"] == pytest.approx(1 - found.accuracy, abs=0.05)
    assert found.gap.low > 0
    assert found == measure_gv_gap(opinionated(), TASK, settings)
    assert json.loads(json.dumps(asdict(found)))["gap"]["count"] == 40


def test_end_to_end_by_likelihood() -> None:
    """The toy likes its wrong habit best, so trusting likelihood makes it worse, and surer."""
    settings = EvalConfig(gv_gap_generations=8, gv_gap_verifier="likelihood")
    found = measure_gv_gap(toy(0.0, 1.0, 0.0), TASK, settings)
    assert found.gap.high < 0
    assert found.gap_unc > 0


def test_without_verdicts_there_is_no_gap() -> None:
    with pytest.raises(RunError, match="no answer has a verdict"):
        measure_gv_gap(opinionated(), replace(TASK, grade=read_only), EvalConfig())
