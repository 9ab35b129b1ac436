"""Golds in prose are read as answers are, or leave the answer unjudged."""

from __future__ import annotations

import pytest

from selftrain.graders import MathGrader
from tests.graders.answers import grade, problem

STATED = [
    "The answer is 13.", "Answer: 13", "It is 13 because 6+7=13.", "Thus, she has 13 apples.",
    "13 apples are left.", "It's 13.", "13, since 6+7=13", "She has 13", "13 is the answer.",
    "The total is $13.", "In total: 13", "She ended up with 13 apples.", "The final answer is $\\boxed{13}$.",
    "<answer>13</answer>", "We add.\nSo 13.", "6 + 7 = 13 apples", "A: 13",
]  # fmt: skip


@pytest.mark.parametrize("gold", STATED)
def test_a_gold_in_prose_is_what_it_states(math_grader: MathGrader, gold: str) -> None:
    assert grade(math_grader, problem(gold), "\\boxed{13}").value == 1.0
    assert grade(math_grader, problem(gold), "\\boxed{12}").value == 0.0


@pytest.mark.parametrize(
    "gold", ["Thus she has 13 apples and 4 pears.", "We add 6 and 7 to get 13.", "The answer is", "####"]
)
def test_a_gold_that_states_several_values_or_none_is_unjudged(math_grader: MathGrader, gold: str) -> None:
    for answer in ("13", "4"):
        assert grade(math_grader, problem(gold), f"\\boxed{{{answer}}}").value is None


@pytest.mark.parametrize(
    "gold",
    [
        "New York",
        "Alfred 3",
        "more than 5",
        "13 (apples)",
        "odd",
        "(3, 4)",
        "x + 2",
        "is",
        "10:30 AM",
        "x^2+1=0",
        "y = 3 - 1",
    ],
)
def test_a_gold_that_is_no_sentence_is_taken_as_it_is(math_grader: MathGrader, gold: str) -> None:
    assert grade(math_grader, problem(gold), f"\\boxed{{\\text{{{gold}}}}}").value in (1.0, None)
    assert grade(math_grader, problem(gold), "\\boxed{3}").value != 1.0
