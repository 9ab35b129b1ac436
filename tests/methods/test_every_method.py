"""Laws for every registered method, on the toy model."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from selftrain.engines.toy import ToyEngine
from selftrain.learner import Learner
from selftrain.learning.toy import ToyTrainer
from selftrain.methods import METHODS, PROFILES
from selftrain.prompts import make_prompts
from selftrain.toy import ToyModel, toy_problems
from selftrain.types import Lessons, Round, Score

DOCS = Path(__file__).parents[2] / "docs" / "methods"


def learner() -> Learner:
    model = ToyModel()
    return Learner(ToyEngine(model), ToyTrainer(model), "toy")


def collect(name: str, seed: int = 1) -> Lessons:
    problems = toy_problems(30)
    gold = {problem.id: problem.reference for problem in problems}

    def grade(responses):
        return [Score(float(r.text.endswith(f" {gold[r.prompt.problem_id]}")), r.text[-3:]) for r in responses]

    return METHODS[name]().collect(Round(1, problems, make_prompts(problems), [learner()], grade, seed))


@pytest.mark.parametrize("name", METHODS)
def test_a_round_is_a_function_of_its_seed(name: str) -> None:
    assert collect(name) == collect(name)
    assert collect(name, seed=2) != collect(name)


@pytest.mark.parametrize("name", METHODS)
def test_examples_come_from_the_problems_drawn_with_finite_weights(name: str) -> None:
    lessons, drawn = collect(name), {problem.id for problem in toy_problems(30)}
    examples = [example for of_model in lessons.examples.values() for example in of_model]
    assert examples and {example.prompt.problem_id for example in examples} <= drawn
    assert all(math.isfinite(example.weight) and example.weight >= 0 for example in examples)
    assert {sample.response.prompt.problem_id for sample in lessons.samples} == drawn


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_a_page_and_profiles(name: str) -> None:
    assert (DOCS / f"{name}.md").is_file()
    assert PROFILES[name]
