"""Conversations and votes, with the toy as every speaker."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from selftrain.errors import RunError
from selftrain.evaluation import EvalConfig, EvalResult, evaluate
from selftrain.evaluation.metrics import measure
from selftrain.loop.learner import Learner
from selftrain.loop.team import evaluate_in_turn, majority_of
from selftrain.methods.turn_taking import rotations, take_turns
from selftrain.types import Prompt, SamplingParams
from tests.evaluation.answers import UNREAD, answered, sample
from tests.evaluation.models import PROMPTS, TASK, toy

DRAWN = SamplingParams(temperature=1.0)


def team() -> list[Learner]:
    return [toy(9, 0, 0, name="good"), toy(0, 9, 0, name="hasty"), toy(0, 0, 9, name="shy")]


def test_each_speaker_sees_all_before_in_order() -> None:
    orders = [[0, 1, 2], [2, 0, 1], [1, 2, 0], [0, 2, 1]]
    said = take_turns(team(), PROMPTS[:4], orders, sampling=DRAWN, key="key")
    names = ["good", "hasty", "shy"]
    for prompt, order, responses in zip(PROMPTS, orders, said, strict=False):
        assert [r.model for r in responses] == [names[place] for place in order]
        for turn, response in enumerate(responses):
            assert response.prompt == replace(prompt, peer_answers=tuple(r.text for r in responses[:turn]))
            assert response.prompt_text == "\n".join((prompt.question, *response.prompt.peer_answers))


def test_what_was_posted_before_stays_in_front() -> None:
    (responses,) = take_turns(
        team(), [replace(PROMPTS[0], peer_answers=("first",))], [[0, 1, 2]], sampling=DRAWN, key="key"
    )
    assert responses[2].prompt.peer_answers == ("first", responses[0].text, responses[1].text)


def test_the_first_turn_is_what_the_model_says_alone() -> None:
    model = toy(0, 0, 0)
    said = take_turns([model, toy(0, 0, 0, name="other")], PROMPTS, [[0, 1]] * len(PROMPTS), sampling=DRAWN, key="key")
    assert [r[0] for r in said] == model.sample(PROMPTS, 1, DRAWN, "key/turn 0")
    assert [r[0].text for r in said] != [r[1].text for r in said]


def test_at_most_one_call_for_each_turn_and_model() -> None:
    class Counted(Learner):
        def sample(self, *arguments):
            calls[self.name] += 1
            return super().sample(*arguments)

    calls: Counter[str] = Counter()
    counted = [Counted(one.engine, one.trainer, one.base) for one in team()]
    take_turns(counted, PROMPTS, rotations(len(PROMPTS), 3), sampling=DRAWN, key="key")
    assert calls == {"good": 3, "hasty": 3, "shy": 3}


def test_rotations_give_all_the_last_word_equally_often() -> None:
    assert rotations(4, 3) == [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]
    assert Counter(order[-1] for order in rotations(60, 3)) == {0: 20, 1: 20, 2: 20}


@pytest.mark.parametrize("orders", [[], [[0, 1, 1]], [[0, 1]], [[1, 2, 3]]])
def test_orders_that_are_none(orders: list[list[int]]) -> None:
    with pytest.raises(RunError, match="orders of turns"):
        take_turns(team(), PROMPTS[:1], orders, sampling=DRAWN, key="key")


def test_the_teams_answer_is_that_of_the_last_speaker() -> None:
    found = evaluate_in_turn(team(), TASK)
    assert [a.problem_id for a in found] == [p.problem_id for p in PROMPTS]
    last = ["shy", "good", "hasty"]
    assert [a.greedy.response.model for a in found if a.greedy] == [last[i % 3] for i in range(len(PROMPTS))]
    assert all(a.greedy and len(a.greedy.response.prompt.peer_answers) == 2 and a.sampled == () for a in found)
    assert measure(found)["greedy"].value == pytest.approx(1 / 3)


def solo(*answers: str | None) -> list[EvalResult]:
    return [answered(i, greedy=UNREAD if one is None else sample(0.0, one)) for i, one in enumerate(answers)]


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
        majority_of([solo("1"), [answered(0, sample(1.0))]])
    assert majority_of([]) == []


def test_no_prompts_no_conversation() -> None:
    assert evaluate_in_turn(team(), replace(TASK, prompts=[])) == []
    assert take_turns([], [Prompt("a", "?")], [[]], sampling=DRAWN, key="key") == [[]]
