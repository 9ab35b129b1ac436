"""A model of a run is measured with the worked examples that it was trained with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selftrain.loop.prompt_choice import PromptChoice, choose
from selftrain.loop.worked_examples import as_in_training, examples_of_run
from selftrain.models.prompts import PromptConfig
from selftrain.problems.shots import published
from selftrain.storage import Record
from selftrain.types import Problem
from tests.loop.test_prompt_choice import BASE, TEST, fit

OWN = (("What is 4*2?", "It is 8."), ("What is 5*2?", "It is 10."))


@pytest.fixture
def best(tmp_path: Path) -> str:
    """The best round of a run that showed its own examples, as a user names it."""
    with Record.create(tmp_path / "run", {}) as record:
        record.write_json("environment.json", {"worked_examples": OWN})
    (tmp_path / "run" / "weights" / "round-0001" / "llama").mkdir(parents=True)
    (tmp_path / "run" / "best").symlink_to("weights/round-0001")
    return str(tmp_path / "run" / "best")


def chosen(model: str, **given: Any) -> PromptChoice:
    """Of an evaluation whose data has no examples of its own, so that published ones would be shown."""
    found = choose(PromptConfig(**given), "auto", fit(BASE))
    assert len(found.shots) == given.get("num_fewshot", 8)
    return as_in_training(found, model, TEST, given=bool(given))


def test_its_own_examples_are_shown_and_it_is_said(best: str) -> None:
    for model in (best, f"{best}/llama"):
        found = chosen(model)
        assert found.shots == OWN and found.prompts.num_fewshot == 2
        assert f"num_fewshot is 2: those of the run that {Path(model).name} was trained in" in "\n".join(found.lines())


def test_another_number_that_was_asked_for_is_kept_and_the_flag_is_named(best: str) -> None:
    found = chosen(best, num_fewshot=4)
    assert found.shots == published("word_problems")[1][:4]
    assert "best was trained with 2 worked examples, and is shown others: leave out --num_fewshot" in found.notes[0]
    assert found.notes[0] in "\n".join(found.lines())
    as_many = chosen(best, num_fewshot=2)
    assert as_many.shots == OWN and "num_fewshot" not in as_many.reasons
    assert "the 2 worked examples are those of the run" in "\n".join(as_many.lines())


def test_an_example_that_is_evaluated_is_not_shown(best: str) -> None:
    evaluation = replace(TEST, problems=(*TEST, Problem("x", OWN[0][0], "8")))
    found = as_in_training(choose(PromptConfig(), "auto", fit(BASE)), best, evaluation, given=False)
    assert found.shots == OWN[1:] and "but for 1 that are evaluated here" in found.reasons["num_fewshot"]


def test_elsewhere_nothing_is_known(best: str, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    (tmp_path / "run" / "environment.json").write_text('{"worked_examples": [1]}')
    for model in (str(alone), "somebody/model", str(tmp_path / "missing"), best):
        assert examples_of_run(model) is None
        assert chosen(model).shots == published("word_problems")[1]
