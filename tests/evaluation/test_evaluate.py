import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from selftrain.errors import SettingsError
from selftrain.evaluation import EvalConfig, EvalTask, evaluate
from selftrain.evaluation.metrics import measure
from selftrain.types import Prompt, Response, SamplingParams, Score


class Table:
    """Answers from a table: the first entry when greedy, else one sampled by key, problem and index."""

    name = "table"

    def __init__(self, answers: dict[str, list[str]]) -> None:
        self.answers = answers
        self.requests: list[tuple[int, SamplingParams, str]] = []

    def sample(self, prompts: Sequence[Prompt], n: int, sampling: SamplingParams, key: str) -> list[Response]:
        self.requests.append((n, sampling, key))
        return [self._answer(prompt, i, sampling, key) for prompt in prompts for i in range(n)]

    def _answer(self, prompt: Prompt, index: int, sampling: SamplingParams, key: str) -> Response:
        known = self.answers[prompt.problem_id]
        rng = random.Random(f"{key}/{prompt.problem_id}/{index}")
        text = rng.choice(known) if sampling.temperature else known[0]
        return Response(prompt, prompt.question, index, text, (1, 2), -1.0, "stop", self.name, 0)

    def logprob(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        return [-1.0 for _ in completions]


def grade(responses: Sequence[Response]) -> list[Score]:
    return [Score(float(r.text == "18"), r.text) for r in responses]


SETTINGS = EvalConfig(num_generations_eval=2, temperature_eval=0.9, top_p_eval=0.8, top_k_eval=5)
TASK = EvalTask([Prompt("a", "9+9?"), Prompt("b", "20-2?")], grade, 64, "key")


def test_each_problem_gets_its_greedy_and_its_sampled_answers() -> None:
    table = Table({"a": ["18"], "b": ["17", "18"]})
    found = evaluate(table, TASK, EvalConfig(num_generations_eval=3))
    assert [a.problem_id for a in found] == ["a", "b"]
    assert [a.greedy.response.text for a in found if a.greedy] == ["18", "17"]
    assert [s.response.sample_index for s in found[1].sampled] == [0, 1, 2]
    assert all(s.response.prompt.problem_id == a.problem_id for a in found for s in a.sampled)
    assert measure(found)["greedy"].value == 0.5


def test_the_model_is_asked_as_the_settings_say() -> None:
    table = Table({"a": ["18"], "b": ["17"]})
    evaluate(table, TASK, SETTINGS)
    assert table.requests == [
        (1, SamplingParams(temperature=0.0, max_completion_length=64), "key/greedy"),
        (2, SamplingParams(temperature=0.9, top_k=5, top_p=0.8, max_completion_length=64), "key/sampled"),
    ]


def test_the_same_key_gives_the_same_answers() -> None:
    table = Table({"a": [str(i) for i in range(99)], "b": [str(i) for i in range(99)]})
    ask = [evaluate(table, replace(TASK, key=key), EvalConfig()) for key in ("one", "one", "two")]
    assert ask[0] == ask[1] != ask[2]


def test_greedy_alone() -> None:
    table = Table({"a": ["18"], "b": ["17"]})
    found = evaluate(table, TASK, EvalConfig(num_generations_eval=0))
    assert [a.sampled for a in found] == [(), ()]
    assert len(table.requests) == 1


def test_no_problems_no_answers() -> None:
    assert evaluate(Table({}), replace(TASK, prompts=[]), EvalConfig()) == []


@pytest.mark.parametrize(
    "setting",
    [
        {"num_generations_eval": -1},
        {"temperature_eval": 0.0},
        {"top_p_eval": 0.0},
        {"top_k_eval": -1},
        {"eval_rounds": 0},
        {"temperature_sweep": (0.5, -0.1)},
        {"gv_gap_problems": 0},
        {"gv_gap_generations": 1},
        {"gv_gap_verifier": "oracle"},
    ],
)
def test_settings_that_cannot_work_are_refused(setting: dict) -> None:
    with pytest.raises(SettingsError, match=next(iter(setting))):
        EvalConfig(**setting)


def test_a_sweep_may_hold_greedy_and_may_be_empty() -> None:
    assert EvalConfig(temperature_sweep=[0, 1]).temperature_sweep == (0.0, 1.0)  # type: ignore[arg-type]
    assert EvalConfig().temperature_sweep == ()
