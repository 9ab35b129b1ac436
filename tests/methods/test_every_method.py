"""Laws for every registered method, on the toy model."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from selftrain.evaluation import EvalConfig
from selftrain.loop.learner import Learner
from selftrain.methods import METHODS
from selftrain.models.prompts import make_prompts
from selftrain.training.base import TrainingConfig
from selftrain.types import Collected, Round, Score
from tests.toys.engine import ToyEngine
from tests.toys.model import ToyModel, toy_problems
from tests.toys.trainer import ToyTrainer

DOCS = Path(__file__).parents[2] / "docs" / "methods"


def learner(name: str = "toy") -> Learner:
    model = ToyModel()
    return Learner(ToyEngine(model, name), ToyTrainer(model), "toy")


def learners(method: str) -> list[Learner]:
    """Three where the method's models learn together, else one."""
    return [learner(name) for name in ("a", "b", "c")] if METHODS[method].needs_peers else [learner()]


def collect(name: str, seed: int = 1) -> Collected:
    problems = toy_problems(30)
    gold = {problem.id: problem.reference for problem in problems}

    def grade(responses):
        if not METHODS[name].needs_grader:
            return [Score(None, r.text[-3:]) for r in responses]
        return [Score(float(r.text.endswith(f" {gold[r.prompt.problem_id]}")), r.text[-3:]) for r in responses]

    return METHODS[name]().collect(Round(1, problems, make_prompts(problems), learners(name), grade, seed))


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
def test_each_model_has_its_examples_and_every_dropped_sample_a_reason(name: str) -> None:
    lessons = collect(name)
    assert list(lessons.examples) == [learner.name for learner in learners(name)]
    assert all(sample.kept == (sample.weight > 0) == (sample.drop_reason is None) for sample in lessons.samples)
    assert sum(map(len, lessons.examples.values())) == sum(sample.kept for sample in lessons.samples)
    assert all(math.isfinite(fact) for fact in lessons.metrics.values())


@pytest.mark.parametrize("name", METHODS)
def test_a_method_brings_its_settings_of_training_and_evaluation(name: str) -> None:
    assert isinstance(METHODS[name].training, TrainingConfig) and isinstance(METHODS[name].evaluation, EvalConfig)
    if not METHODS[name].needs_grader:
        # There is no reward to stop by.
        assert METHODS[name].training.early_stopping == "off"


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_a_page_and_profiles(name: str) -> None:
    assert (DOCS / f"{name}.md").is_file()
    assert METHODS[name].profiles["recommended"] == {}
