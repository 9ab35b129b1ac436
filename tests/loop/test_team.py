"""Conversations and votes, with the toy as every speaker."""

from __future__ import annotations

from dataclasses import replace

import pytest

from selftrain.errors import RunError
from selftrain.evaluation import EvalConfig, EvalResult, evaluate
from selftrain.evaluation.metrics import measure
from selftrain.loop.learner import Learner
from selftrain.loop.team import evaluate_in_turn, majority_of
from selftrain.types import SamplingParams
from tests.evaluation.answers import UNREAD, eval_result, sample
from tests.evaluation.models import PROMPTS, TASK, toy

DRAWN = SamplingParams(temperature=1.0)


def team() -> list[Learner]:
    return [toy(9, 0, 0, name="good"), toy(0, 9, 0, name="hasty"), toy(0, 0, 9, name="shy")]


def test_the_teams_answer_is_that_of_the_last_speaker() -> None:
    found = evaluate_in_turn(team(), TASK)
    assert [a.problem_id for a in found] == [p.problem_id for p in PROMPTS]
    last = ["shy", "good", "hasty"]
    assert [a.greedy.response.model for a in found if a.greedy] == [last[i % 3] for i in range(len(PROMPTS))]
    assert all(a.greedy and len(a.greedy.response.prompt.peer_answers) == 2 and a.sampled == () for a in found)
    assert measure(found)["greedy"].value == pytest.approx(1 / 3)


def solo(*answers: str | None) -> list[EvalResult]:
    return [eval_result(i, greedy=UNREAD if one is None else sample(0.0, one)) for i, one in enumerate(answers)]


def test_majority_by_hand() -> None:
    solos = [
        solo("1", "1", "1", None, None),
        solo("2", "2", "2", "2", None),
        solo("2", "3", "3", None, None),
    ]
    found = majority_of(solos)
    # Problem 0: two say 2. 1: a tie, model 1 speaks first. 2: a tie, model 2 speaks first. 3: one vote. 4: none.
    assert [a.greedy.score.extracted_answer for a in found if a.greedy] == ["2", "2", "3", "2", None]
    assert [a.problem_id for a in found] == ["0", "1", "2", "3", "4"]
    assert found[0].greedy is solos[1][0].greedy


def test_spellings_can_be_made_one() -> None:
    solos = [solo("18"), solo("7"), solo("18.0")]
    assert majority_of(solos[1:] + solos[:1])[0].greedy == solos[1][0].greedy
    assert majority_of(solos[1:] + solos[:1], lambda text: text.removesuffix(".0"))[0].greedy == solos[2][0].greedy


def test_a_vote_of_real_evaluations() -> None:
    models = [toy(9, 0, 0, name="a"), toy(9, 0, 0, name="b"), toy(0, 9, 0, name="c")]
    solos = [evaluate(m, TASK, EvalConfig(num_generations_eval=0)) for m in models]
    assert measure(majority_of(solos))["greedy"].value == 1.0
    assert measure(majority_of([solos[2], solos[0], solos[2]]))["greedy"].value == 0.0


def test_votes_on_different_problems_are_refused() -> None:
    with pytest.raises(RunError, match="not to the same problems"):
        majority_of([solo("1"), solo("1", "2")])
    with pytest.raises(RunError, match="not to the same problems"):
        majority_of([solo("1"), [eval_result(0, sample(1.0))]])
    assert majority_of([]) == []


def test_no_prompts_no_answers() -> None:
    assert evaluate_in_turn(team(), replace(TASK, prompts=[])) == []
