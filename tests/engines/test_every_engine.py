"""The laws of an engine, for every engine there is."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from selftrain.engines.base import Engine
from selftrain.engines.config import EngineConfig
from selftrain.engines.ray.backend import LOCAL, RayBackend, open_cluster
from selftrain.engines.ray.config import RayConfig
from selftrain.engines.registry import engine_names
from selftrain.engines.server.config import ServerConfig
from selftrain.engines.vllm.config import VllmConfig
from selftrain.loop.model_factory import ModelFactory
from selftrain.models.prompts import PromptConfig, make_prompts
from selftrain.models.seeds import seed_model
from selftrain.types import Prompt, Response, SamplingParams
from tests.conftest import generate, requests_of
from tests.engines.vllm.pythons import python_with_vllm
from tests.toys.engine import ToyEngine
from tests.toys.model import ToyModel, toy_problems

PARAMS = SamplingParams(0.7, 40, max_completion_length=40)
GREEDY = SamplingParams(0.0, max_completion_length=24)


@dataclass(frozen=True)
class Subject:
    engine: Engine
    #: Changes the live weights, and tells the engine.
    change_weights: Callable[[], None]


@contextmanager
def toy() -> Iterator[Subject]:
    model = ToyModel()

    def change_weights() -> None:
        model.logits = [0.0, 0.0, 9.0]

    with closing(ToyEngine(model)) as engine:
        yield Subject(engine, change_weights)


@contextmanager
def loaded(name: str, ray: RayBackend = LOCAL, **sections: Callable[[], Any]) -> Iterator[Subject]:
    """The engine of that name, with its own section of settings, as a run loads it."""
    config = EngineConfig(engine=name, sampling_batch_size=16, sampling_processes=1)
    made = {section: make() for section, make in sections.items()}
    factory = ModelFactory(PromptConfig(), config, ray=ray, engine_sections=made)
    with closing(factory.load(seed_model("qwen2"))) as learner:
        trainer: Any = learner.trainer

        def change_weights() -> None:
            learner.engine.sleep()
            torch.manual_seed(0)
            with torch.no_grad():
                for parameter in trainer.model.parameters():
                    parameter.mul_(1 + 0.1 * torch.randn_like(parameter))
            learner.engine.update_weights(trainer.save_merged)

        yield Subject(learner.engine, change_weights)


@contextmanager
def on_ray() -> Iterator[Subject]:
    pytest.importorskip("ray", reason="needs the library ray: pip install 'selftrain[ray]'")
    with open_cluster(RayConfig(ray=True, ray_workers=1), print) as backend, loaded("auto", backend) as subject:
        yield subject


def server_process() -> ServerConfig:
    program = Path(__file__).parent / "server" / "openai_server.py"
    command = shlex.join([sys.executable, str(program), "--model", "{model}", "--port", "{port}"])
    return ServerConfig(server_command=command)


def small_vllm() -> VllmConfig:
    return VllmConfig(
        vllm_python=python_with_vllm(),
        vllm_gpu_memory_utilization=0.06,
        vllm_enforce_eager=True,
        vllm_max_model_length=512,
    )


SLOW = pytest.mark.slow
#: By the names of `--engine`, but for the toy and for Ray.
SUBJECTS: dict[str, tuple[Callable[[], AbstractContextManager[Subject]], Any]] = {
    "toy": (toy, ()),
    "transformers": (partial(loaded, "transformers"), ()),
    "auto": (partial(loaded, "auto"), ()),
    "openai": (partial(loaded, "openai", server=server_process), SLOW),
    "vllm": (partial(loaded, "vllm", vllm=small_vllm), SLOW),
    "ray": (on_ray, SLOW),
}


@pytest.fixture(scope="module", params=[pytest.param(name, marks=marks) for name, (_, marks) in SUBJECTS.items()])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    with SUBJECTS[request.param][0]() as opened:
        yield opened


@pytest.fixture
def engine(subject: Subject) -> Engine:
    return subject.engine


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    return make_prompts(toy_problems(9))


def tokens(responses: list[Response]) -> list[tuple[str, int, tuple[int, ...], str]]:
    return [(r.prompt.problem_id, r.sample_index, r.token_ids, r.text) for r in responses]


def test_no_engine_is_left_out() -> None:
    assert {*engine_names(), "toy", "ray"} == set(SUBJECTS)


def test_it_says_what_it_is_on_one_line(engine: Engine) -> None:
    assert engine.name and engine.description and "\n" not in engine.description


def test_responses_come_in_prompt_order_and_by_sample_index(engine: Engine, prompts: list[Prompt]) -> None:
    responses = generate(engine, prompts, 3, PARAMS, weights_version=5, first_index=2)
    assert [(r.prompt, r.sample_index) for r in responses] == [(p, i) for p in prompts for i in (2, 3, 4)]
    assert {r.weights_version for r in responses} == {5} and {r.model for r in responses} == {engine.name}
    assert [r.prompt_text for r in responses[::3]] == [engine.prompt_text(prompt) for prompt in prompts]


def test_a_plan_holds_every_prompt_once_and_is_a_function_of_its_arguments(
    engine: Engine, prompts: list[Prompt]
) -> None:
    plan = engine.plan(prompts, 4)
    assert sorted(i for batch in plan for i in batch) == list(range(len(prompts)))
    assert engine.plan(prompts, 4) == plan and engine.plan([], 4) == []


def test_the_same_request_gives_the_same_bytes(engine: Engine, prompts: list[Prompt]) -> None:
    assert generate(engine, prompts, 3, PARAMS) == generate(engine, prompts, 3, PARAMS)


def test_a_response_does_not_depend_on_what_else_is_in_the_batch(engine: Engine, prompts: list[Prompt]) -> None:
    whole = generate(engine, prompts, 3, PARAMS)
    requests = requests_of([prompts[:1], prompts[1:6], prompts[6:]], 3, PARAMS)
    batches = list(engine.generate_batches(requests))
    assert [len(batch) for batch in batches] == [3, 15, 9]
    assert tokens([response for batch in batches for response in batch]) == tokens(whole)
    assert tokens(generate(engine, prompts[:4], 1, PARAMS, first_index=2)) == tokens(whole[2:12:3])


def test_other_keys_sample_other_responses(engine: Engine, prompts: list[Prompt]) -> None:
    wild = SamplingParams(1.5, max_completion_length=20)
    assert len({str(tokens(generate(engine, prompts, 4, wild, key=key))) for key in "abc"}) == 3


def test_a_response_that_is_cut_off_says_so(engine: Engine, prompts: list[Prompt]) -> None:
    for response in generate(engine, prompts, 2, SamplingParams(1.0, max_completion_length=2)):
        assert len(response.token_ids) <= 2 and response.truncated == (response.finish_reason == "length")
        assert len(response.token_ids) == 2 or not response.truncated


def test_logprob_counts_the_completion_and_its_end_only(engine: Engine, prompts: list[Prompt]) -> None:
    ended = [r for r in generate(engine, prompts, 2, PARAMS) if r.finish_reason == "stop"]
    scored = engine.logprob([r.prompt for r in ended], [r.text for r in ended])
    assert ended and scored == pytest.approx([r.logprob for r in ended], abs=1e-3)


def test_num_tokens_is_what_logprob_sums_over(engine: Engine, prompts: list[Prompt]) -> None:
    """The tokens of a response that ended by itself, its end token included; and a text of any origin has some."""
    ended = [r for r in generate(engine, prompts, 2, PARAMS) if r.finish_reason == "stop"]
    assert ended and engine.num_tokens([r.text for r in ended]) == [len(r.token_ids) for r in ended]
    assert min(engine.num_tokens(["", " ", "ß 漢 \\boxed{7}", " #### 7"])) >= 1
    assert engine.num_tokens([]) == []


def test_a_caller_may_stop_early_and_ask_again(engine: Engine, prompts: list[Prompt]) -> None:
    requests = requests_of([[prompt] for prompt in prompts], 2, PARAMS)
    generated = engine.generate_batches(requests)
    first = next(generated)
    generated.close()
    assert tokens(next(iter(engine.generate_batches(requests[:1])))) == tokens(first)
    assert list(engine.generate_batches([])) == []


def test_new_weights_are_used_once_they_are_announced(subject: Subject, prompts: list[Prompt]) -> None:
    """And they are the trainer's: the texts have the log-probabilities that the trainer's own weights give them."""
    before = generate(subject.engine, prompts, 1, GREEDY)
    subject.change_weights()
    (after,) = subject.engine.generate_batches(requests_of([prompts], 1, GREEDY))
    assert tokens(after) != tokens(before)
    ended = [r for r in after if r.finish_reason == "stop"]
    scored = subject.engine.logprob([r.prompt for r in ended], [r.text for r in ended])
    assert ended and scored == pytest.approx([r.logprob for r in ended], abs=1e-3)
