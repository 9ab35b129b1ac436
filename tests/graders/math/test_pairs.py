"""Generated pairs of all types: no other answer is called right, and hardly another spelling is called wrong."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from selftrain.graders import MathGrader
from selftrain.types import Score
from tests.graders.answers import grade_all, problem
from tests.graders.math import equal, unequal

Pair = tuple[str, str]


def graded(grader: MathGrader, pairs: Sequence[Pair]) -> list[Score]:
    problems = [problem(gold, str(at)) for at, (gold, _) in enumerate(pairs)]
    # Money in a box is a formula's delimiter to many readers.
    texts = [f"#### {answer}" if "$" in answer else f"\\boxed{{{answer}}}" for _, answer in pairs]
    return grade_all(grader, problems, texts)


def generated(kinds: Sequence[Callable[[random.Random], Pair]], number: int) -> list[Pair]:
    rng = random.Random(number)
    return [unequal.unequal_pair(kinds[at % len(kinds)], rng) for at in range(number)]


@pytest.mark.parametrize("number", [280, pytest.param(20_000, marks=pytest.mark.slow)])
def test_no_other_answer_is_called_right(math_grader: MathGrader, number: int) -> None:
    pairs = generated(unequal.KINDS, number)
    scores = graded(math_grader, pairs)
    assert [(pair, score.reason) for pair, score in zip(pairs, scores, strict=True) if score.value] == []
    judged = sum(score.value is not None or "too busy" in score.reason for score in scores)
    assert judged > 0.99 * number  # not unequal because no gold was read


@pytest.mark.parametrize("number", [280, pytest.param(10_000, marks=pytest.mark.slow)])
def test_other_spellings_are_called_right(math_grader: MathGrader, number: int) -> None:
    rng = random.Random(number)
    pairs = [equal.KINDS[at % len(equal.KINDS)](rng) for at in range(number)]
    scores = graded(math_grader, pairs)
    wrong = [
        (pair, score.reason)
        for pair, score in zip(pairs, scores, strict=True)
        if not score.value and "too busy" not in score.reason
    ]
    assert len(wrong) <= 0.01 * number, wrong
