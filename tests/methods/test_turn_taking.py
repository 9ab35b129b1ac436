"""Conversations of models that answer in turn, with the toy as every model."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from selftrain.errors import RunError
from selftrain.loop.learner import Learner
from selftrain.methods.turn_taking import rotations, take_turns
from selftrain.types import Prompt, SamplingParams
from tests.evaluation.models import PROMPTS, toy

RANDOM = SamplingParams(temperature=1.0)


def team() -> list[Learner]:
    return [toy(9, 0, 0, name="good"), toy(0, 9, 0, name="hasty"), toy(0, 0, 9, name="shy")]


def test_each_turn_sees_all_answers_before_in_order() -> None:
    orders = [[0, 1, 2], [2, 0, 1], [1, 2, 0], [0, 2, 1]]
    talks = take_turns(team(), PROMPTS[:4], orders, sampling=RANDOM, key="key")
    names = ["good", "hasty", "shy"]
    for prompt, order, responses in zip(PROMPTS, orders, talks, strict=False):
        assert [r.model for r in responses] == [names[index] for index in order]
        for turn, response in enumerate(responses):
            assert response.prompt == replace(prompt, peer_answers=tuple(r.text for r in responses[:turn]))
            assert response.prompt_text == "\n".join((prompt.question, *response.prompt.peer_answers))


def test_peer_answers_of_the_prompt_stay_in_front() -> None:
    (responses,) = take_turns(
        team(), [replace(PROMPTS[0], peer_answers=("first",))], [[0, 1, 2]], sampling=RANDOM, key="key"
    )
    assert responses[2].prompt.peer_answers == ("first", responses[0].text, responses[1].text)


def test_the_first_turn_is_the_answer_of_the_model_alone() -> None:
    model = toy(0, 0, 0)
    talks = take_turns(
        [model, toy(0, 0, 0, name="other")], PROMPTS, [[0, 1]] * len(PROMPTS), sampling=RANDOM, key="key"
    )
    assert [r[0] for r in talks] == model.sample(PROMPTS, 1, RANDOM, "key/turn 0")
    assert [r[0].text for r in talks] != [r[1].text for r in talks]


def test_at_most_one_call_for_each_turn_and_model() -> None:
    class Counted(Learner):
        def sample(self, *arguments):
            calls[self.name] += 1
            return super().sample(*arguments)

    calls: Counter[str] = Counter()
    counted = [Counted(one.engine, one.trainer, one.base) for one in team()]
    take_turns(counted, PROMPTS, rotations(len(PROMPTS), 3), sampling=RANDOM, key="key")
    assert calls == {"good": 3, "hasty": 3, "shy": 3}


def test_in_rotations_all_are_last_equally_often() -> None:
    assert rotations(4, 3) == [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]
    assert Counter(order[-1] for order in rotations(60, 3)) == {0: 20, 1: 20, 2: 20}


@pytest.mark.parametrize("orders", [[], [[0, 1, 1]], [[0, 1]], [[1, 2, 3]]])
def test_orders_that_are_no_permutations_are_refused(orders: list[list[int]]) -> None:
    with pytest.raises(RunError, match="orders of turns"):
        take_turns(team(), PROMPTS[:1], orders, sampling=RANDOM, key="key")


def test_without_models_a_conversation_is_empty() -> None:
    assert take_turns([], [Prompt("a", "?")], [[]], sampling=RANDOM, key="key") == [[]]
