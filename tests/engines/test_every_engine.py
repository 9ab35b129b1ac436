"""The laws of an engine, for every engine that runs here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from selftrain.engines.base import Engine
from selftrain.engines.toy import ToyEngine
from selftrain.models.loading import load_model
from selftrain.models.prompts import make_prompts
from selftrain.models.seeds import seed_model
from selftrain.models.toy import ToyModel, toy_problems
from selftrain.types import Prompt, Response, SamplingParams
from tests.conftest import engine_of
from tests.engines.serving import asking, serving

AT_RANDOM = SamplingParams(0.7, 40, max_completion_length=40)


@pytest.fixture(scope="module", params=["toy", "transformers", pytest.param("a server", marks=pytest.mark.slow)])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    if request.param == "a server":
        with serving(model="qwen2") as state, asking(state, load_model(seed_model("qwen2"), device="cpu")) as served:
            yield served
        return
    made: Engine = (
        ToyEngine(ToyModel()) if request.param == "toy" else engine_of(load_model(seed_model("qwen2"), device="cpu"))
    )
    yield made
    made.close()


@pytest.fixture(scope="module")
def asked() -> list[Prompt]:
    return make_prompts(toy_problems(9))


def key(response: Response) -> tuple[str, int, str, tuple[int, ...], float]:
    return response.prompt.problem_id, response.sample_index, response.text, response.token_ids, response.logprob


def test_answers_come_in_prompt_order_and_by_sample_index(engine: Engine, asked: list[Prompt]) -> None:
    answers = engine.generate(asked, 3, AT_RANDOM, "k", 5)
    assert [(a.prompt.problem_id, a.sample_index) for a in answers] == [
        (p.problem_id, i) for p in asked for i in range(3)
    ]
    assert {a.weights_version for a in answers} == {5} and {a.model for a in answers} == {engine.name}


def test_a_plan_holds_every_prompt_once_and_is_a_function_of_its_arguments(engine: Engine, asked: list[Prompt]) -> None:
    plan = engine.plan(asked, 4)
    assert sorted(i for unit in plan for i in unit) == list(range(len(asked)))
    assert engine.plan(asked, 4) == plan


def test_a_unit_done_again_has_the_same_bytes(engine: Engine, asked: list[Prompt]) -> None:
    first, again = (engine.generate(asked, 3, AT_RANDOM, "k", 0) for _ in range(2))
    assert list(map(key, first)) == list(map(key, again))


def test_other_keys_draw_other_answers(engine: Engine, asked: list[Prompt]) -> None:
    texts = {
        tuple(a.text for a in engine.generate(asked, 4, SamplingParams(1.5, max_completion_length=20), name, 0))
        for name in "abc"
    }
    assert len(texts) == 3


def test_logprob_counts_the_completion_and_its_end_only(engine: Engine, asked: list[Prompt]) -> None:
    answers = [a for a in engine.generate(asked, 2, AT_RANDOM, "k", 0) if a.finish_reason == "stop"]
    scored = engine.logprob([a.prompt for a in answers], [a.text for a in answers])
    assert scored == pytest.approx([a.logprob for a in answers], abs=1e-3)


def test_num_tokens_is_what_logprob_sums_over(engine: Engine, asked: list[Prompt]) -> None:
    """The tokens of an answer that ended by itself, its end token among them; and a text of any origin has some."""
    answers = [a for a in engine.generate(asked, 2, AT_RANDOM, "k", 0) if a.finish_reason == "stop"]
    assert answers and engine.num_tokens([a.text for a in answers]) == [len(a.token_ids) for a in answers]
    assert min(engine.num_tokens(["", " ", "ß 漢 \\boxed{7}", " #### 7"])) >= 1
    assert engine.num_tokens([]) == []
