"""Reward functions as TRL calls them, and what happens to those that break the contract."""

from __future__ import annotations

import asyncio
import functools
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from selftrain.errors import GraderError
from selftrain.graders import RewardFunctionGrader, open_grader
from selftrain.models.seeds import seed_model
from selftrain.types import Score
from tests.graders.answers import grade, grade_all, problem, response

MESSAGES = [{"role": "user", "content": "How many?"}]


def graded(function: Any, *texts: str, **columns: Any) -> list[Score]:
    problems = [problem("18", f"p{i}", **{name: of[i] for name, of in columns.items()}) for i in range(len(texts))]
    with RewardFunctionGrader(function) as grader:
        return grade_all(grader, problems, texts)


def values(function: Any, *texts: str, **columns: Any) -> list[float | None]:
    return [score.value for score in graded(function, *texts, **columns)]


def test_a_function_is_called_with_what_trl_passes() -> None:
    seen: dict[str, Any] = {}

    def spy(**kwargs: Any) -> list[float]:
        seen.update(kwargs)
        return [0.5, 0.25]

    scores = graded(spy, "a", "b", question=["q0", "q1"], level=[1, 2], prompt=["x", "y"])
    assert [score.value for score in scores] == [0.5, 0.25]
    assert all(score.seconds > 0 for score in scores)
    assert callable(seen.pop("log_extra"))
    assert callable(seen.pop("log_metric"))
    assert seen == {
        "prompts": ["Q: How many?\nA:"] * 2,
        "completions": ["a", "b"],
        "completion_ids": [[5, 2], [5, 2]],
        "question": ["q0", "q1"],
        "level": [1, 2],
        "answer": ["18", "18"],
        "solution": ["18", "18"],
        "trainer_state": None,
    }


@pytest.mark.slow
def test_trl_passes_the_same_arguments(tmp_path: Path) -> None:
    trl = pytest.importorskip("trl", reason="trl is not installed")
    calls: list[dict[str, Any]] = []

    def spy(**kwargs: Any) -> list[float]:
        calls.append(kwargs)
        return [0.0] * len(kwargs["completions"])

    row = {"prompt": "How many?", "answer": "18", "solution": "18", "level": 1}
    config = trl.GRPOConfig(
        output_dir=str(tmp_path), max_steps=1, per_device_train_batch_size=2, num_generations=2,
        max_completion_length=4, use_cpu=True, report_to=[], save_strategy="no",
    )  # fmt: skip
    trl.GRPOTrainer(seed_model("llama"), spy, config, train_dataset=Dataset.from_list([row] * 4)).train()
    graded(spy, "a", "b", level=[1, 1])
    theirs, *_, ours = calls
    assert ours.keys() == theirs.keys()
    for name in ("prompts", "completions", "completion_ids", "answer", "level"):
        assert [type(value) for value in ours[name]] == [type(value) for value in theirs[name]], name


def test_a_column_goes_before_the_reference_and_must_be_in_every_row() -> None:
    def read(completions: list[str], solution: list[str], **kwargs: Any) -> list[float]:
        assert "level" not in kwargs
        return [float(s) for s in solution]

    problems = [problem("18", "p0", solution="3", level=1), problem("18", "p1")]
    with RewardFunctionGrader(read) as grader:
        assert [score.value for score in grade_all(grader, problems, ["a", "b"])] == [3.0, 18.0]


def test_a_function_without_kwargs_gets_only_what_it_names() -> None:
    assert values(lambda completions: [float(len(text)) for text in completions], "a", "bb") == [1.0, 2.0]


def test_messages_are_passed_where_the_data_are_conversational() -> None:
    def first(prompts: list[Any], completions: list[Any]) -> list[float]:
        assert prompts == [MESSAGES]
        assert completions == [[{"role": "assistant", "content": "hi"}]]
        return [1.0]

    assert values(first, "hi", prompt=[MESSAGES]) == [1.0]
    assert values(first, "hi", messages=[MESSAGES]) == [1.0]


def test_accuracy_reward_of_trl_runs_unchanged() -> None:
    pytest.importorskip("trl.rewards", reason="trl is not installed")
    with open_grader("trl.rewards.accuracy_reward") as grader:
        problems = [problem("\\frac13", str(i), solution="$\\frac13$") for i in range(3)] + [problem("?!", "3")]
        texts = ["It is $\\boxed{\\frac{1}{3}}$", "It is $\\boxed{\\frac{1}{2}}$", "no idea", "$\\boxed{1}$"]
        assert [score.value for score in grade_all(grader, problems, texts)] == [1.0, 0.0, 0.0, None]


def test_none_does_not_apply_and_extracted_answers_are_kept() -> None:
    def half(completions: list[str], log_extra: Any, log_metric: Any) -> list[float | None]:
        log_extra("extracted_answer", [text.upper() for text in completions])
        log_extra("other", [0, 0])
        log_metric("rate", 0.5)
        return [1, None]

    first, second = graded(half, "a", "b")
    assert (first.value, first.extracted_answer, first.reason) == (1.0, "A", "")
    assert (second.value, second.extracted_answer, second.reason) == (None, "B", "reward function half returned None")


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_numbers_of_any_make_are_taken(kind: Any) -> None:
    assert values(lambda completions: kind([True, np.float32(0.5), 2]), "a", "b", "c") == [1.0, 0.5, 2.0]


@pytest.mark.parametrize(
    ("returned", "complaint"),
    [
        ([1.0], r"returned 1 scores; expected 2"),
        ([1.0, 1.0, 1.0], r"returned 3 scores; expected 2"),
        ([], r"returned 0 scores; expected 2"),
        (None, r"returned NoneType; expected a list of 2 numbers"),
        (1.0, r"returned float; expected a list"),
        ("11", r"returned str; expected a list"),
        ({0: 1.0, 1: 1.0}, r"returned dict; expected a list"),
        ([1.0, float("nan")], r"returned nan for row 1 \(problem p1\)"),
        ([float("inf"), 1.0], r"returned inf for row 0 \(problem p0\)"),
        ([1.0, "1"], r"returned '1' for row 1 \(problem p1\)"),
        ([[1.0], 1.0], r"returned \[1.0\] for row 0"),
    ],
)
def test_a_broken_function_stops_the_run(returned: Any, complaint: str) -> None:
    def broken(completions: list[str]) -> Any:
        return returned

    with pytest.raises(GraderError, match=f"Reward function broken {complaint}"):
        graded(broken, "a", "b")


def test_a_missing_column_is_named_with_its_row() -> None:
    def needs(completions: list[str], tests: list[str], **kwargs: Any) -> list[float]:
        return [1.0] * len(tests)

    problems = [problem("18", "p0", tests="t"), problem("18", "p1", level=2)]
    with RewardFunctionGrader(needs) as grader:
        with pytest.raises(GraderError, match=r"needs needs the column 'tests'; row 1 \(problem p1\) has .*'level'"):
            grade_all(grader, problems, ["a", "b"])
        assert grade(grader, problems[0], "a").value == 1.0


def test_rows_that_raise_are_unjudged_and_the_others_are_not() -> None:
    def sometimes(completions: list[str]) -> list[float]:
        if "bad" in completions:
            raise ValueError("cannot parse")
        return [1.0] * len(completions)

    first, second, third = graded(sometimes, "good", "bad", "good")
    assert (first.value, third.value) == (1.0, 1.0)
    assert second.value is None
    assert second.reason == "reward function sometimes raised ValueError: cannot parse"


@pytest.mark.parametrize("texts", [("a",), ("a", "b")])
def test_a_function_that_always_raises_stops_the_run(texts: tuple[str, ...]) -> None:
    def always(completions: list[str]) -> list[float]:
        raise KeyError("solution")

    with pytest.raises(GraderError, match=r"always raised KeyError: 'solution', for each of"):
        graded(always, *texts)


def test_async_functions_keep_their_loop_and_may_run_inside_another() -> None:
    class Client:
        """Bound to the first loop it is used in, as clients are."""

        loop: Any = None

        async def __call__(self, completions: list[str]) -> list[float]:
            await asyncio.sleep(0)
            self.loop = self.loop or asyncio.get_running_loop()
            assert self.loop is asyncio.get_running_loop()
            return [float(len(text)) for text in completions]

    async def notebook(grader: RewardFunctionGrader) -> list[float | None]:
        return [score.value for score in grader.grade([response("bb")], {"p": problem()})]

    before = threading.active_count()
    with RewardFunctionGrader(Client()) as grader:
        assert grader.name == "Client"
        assert grade(grader, problem(), "a").value == 1.0
        assert asyncio.run(notebook(grader)) == [2.0]
    assert threading.active_count() == before


def test_an_async_function_that_raises_is_treated_like_any_other() -> None:
    async def sometimes(completions: list[str], **kwargs: Any) -> list[float]:
        if "bad" in completions:
            raise RuntimeError("no reply")
        return [1.0] * len(completions)

    assert values(sometimes, "good", "bad") == [1.0, None]
    assert values(functools.partial(sometimes, top=3), "good") == [1.0]


def test_no_answers_no_call() -> None:
    assert RewardFunctionGrader(lambda: 1 / 0).grade([], {}) == []
