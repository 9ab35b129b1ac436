"""A real vLLM, beyond the laws of every engine: SELFTRAIN_VLLM_PYTHON names a Python that has it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from selftrain.engines.base import SaveWeights
from selftrain.engines.config import EngineConfig
from selftrain.engines.vllm.config import VllmConfig
from selftrain.engines.vllm.engine import VllmEngine
from selftrain.errors import ModelError
from selftrain.loop.learner import Learner
from selftrain.loop.model_factory import ModelFactory
from selftrain.models.adapter import AdapterConfig
from selftrain.models.prompts import PromptConfig
from selftrain.models.seeds import SEED_MODELS, seed_model
from selftrain.types import Prompt, Response, SamplingParams
from tests.conftest import generate, requests_of
from tests.engines.vllm.pythons import gone, group, python_with_vllm

pytestmark = pytest.mark.slow

GREEDY = SamplingParams(0.0, max_completion_length=64)
AT_RANDOM = SamplingParams(0.8, 40, 0.95, max_completion_length=64)
#: Small enough for a shared machine, and nothing to compile.
SMALL = {"vllm_gpu_memory_utilization": 0.06, "vllm_enforce_eager": True, "vllm_max_model_length": 512}


def load(name: str, prompt_config: PromptConfig | None = None, **settings: object) -> Learner:
    return factory(prompt_config, **settings).load(seed_model(name))


def factory(prompt_config: PromptConfig | None = None, **settings: object) -> ModelFactory:
    vllm = VllmConfig(vllm_python=python_with_vllm(), **{**SMALL, **settings})
    return ModelFactory(prompt_config or PromptConfig(), EngineConfig(engine="vllm"), engine_sections={"vllm": vllm})


def engine_of(learner: Learner) -> VllmEngine:
    assert isinstance(learner.engine, VllmEngine)
    return learner.engine


def pid_of(learner: Learner) -> int:
    return engine_of(learner).live.process().pid


def change(learner: Learner, save: SaveWeights | None = None) -> None:
    """Other weights, as a training leaves them.

    Args:
        save: writes them for vLLM; as the trainer does by default.
    """
    torch.manual_seed(0)
    learner.engine.sleep()
    with torch.no_grad():
        for one in engine_of(learner).reference.model.parameters():
            if one.requires_grad:
                one.mul_(1 + 0.1 * torch.randn_like(one)).add_(0.01 * torch.randn_like(one))
    learner.engine.update_weights(save or learner.trainer.save_merged)


def agrees_with_transformers(learner: Learner, prompts: list[Prompt]) -> bool:
    """Greedy responses, token by token, and their log-probabilities."""
    ours, theirs = (generate(one, prompts, 1, GREEDY) for one in (learner.engine, engine_of(learner).reference))
    assert [one.logprob for one in ours] == pytest.approx([one.logprob for one in theirs], abs=1e-3)
    return [replace(one, logprob=0.0) for one in ours] == [replace(one, logprob=0.0) for one in theirs]


@pytest.fixture(scope="module", params=SEED_MODELS)
def alive(request: pytest.FixtureRequest) -> Iterator[Learner]:
    """Each architecture, with weights that no file had before, taken by a vLLM that was running."""
    learner = load(request.param)
    pid_of(learner)
    change(learner)
    yield learner
    assert engine_of(learner).live.starts == 1
    learner.close()


def test_greedy_responses_are_those_of_transformers_token_by_token(alive: Learner, prompts: list[Prompt]) -> None:
    assert agrees_with_transformers(alive, prompts)


def test_the_same_key_samples_the_same_responses_in_batches_of_any_size(alive: Learner, prompts: list[Prompt]) -> None:
    whole = generate(alive.engine, prompts, 3, AT_RANDOM, weights_version=5)
    assert whole == generate(alive.engine, prompts, 3, AT_RANDOM, weights_version=5)
    assert [(a.prompt.problem_id, a.sample_index) for a in whole] == [
        (p.problem_id, index) for p in prompts for index in range(3)
    ]
    assert {a.weights_version for a in whole} == {5} and {a.model for a in whole} == {alive.name}
    requests = requests_of([prompts[:1], prompts[1:7], prompts[7:]], 3, AT_RANDOM, weights_version=5)
    cut = [response for batch in alive.engine.generate_batches(requests) for response in batch]
    later = generate(alive.engine, prompts[:4], 1, AT_RANDOM, weights_version=5, first_index=2)
    assert tokens(cut) == tokens(whole) and tokens(later) == tokens(whole[2:12:3])


def test_more_prompts_than_vllm_reads_in_one_step(alive: Learner, prompts: list[Prompt]) -> None:
    short = generate(alive.engine, prompts, 18, SamplingParams(0.5, max_completion_length=2))
    assert len(short) == 288 and {len(a.token_ids) for a in short if a.finish_reason == "length"} == {2}


@pytest.mark.parametrize("name", SEED_MODELS)
def test_an_adapter_is_taken_beside_the_model_by_a_vllm_that_keeps_running(name: str, prompts: list[Prompt]) -> None:
    learner = replace(factory(), adapter=AdapterConfig(use_peft=True, lora_r=4)).load(seed_model(name))
    assert agrees_with_transformers(learner, prompts)
    for _ in range(2):
        change(learner, refuse_whole_models)
        assert agrees_with_transformers(learner, prompts)
    assert (engine_of(learner).live.starts, engine_of(learner).live.updates) == (1, 2)
    learner.close()


def refuse_whole_models(folder: Path) -> None:
    raise AssertionError("a whole model was to be written")


def test_weights_that_did_not_arrive_whole_are_noticed_and_vllm_is_started_again(prompts: list[Prompt]) -> None:
    said: list[str] = []
    learner = replace(factory(), say=said.append).load(seed_model("qwen2"))
    first = pid_of(learner)
    damaged = iter([True, False])

    def save(folder: Path) -> None:
        learner.trainer.save_merged(folder)
        if next(damaged):
            file = folder / "model.safetensors"
            tensors = load_file(file)
            name = "model.layers.1.mlp.up_proj.weight"
            save_file({**tensors, name: 1.05 * tensors[name]}, file, metadata={"format": "pt"})

    change(learner, save)
    assert agrees_with_transformers(learner, prompts)
    assert gone(first, 0) and engine_of(learner).live.starts == 2
    assert any("started again: its log-probabilities are" in line for line in said)
    learner.close()


def test_a_process_that_is_to_be_restarted_ends_with_its_phase(prompts: list[Prompt]) -> None:
    learner = load("llama", PromptConfig(stop_strings=("=", "9*")), vllm_weight_sync="restart")
    with pytest.raises(ModelError, match="max_model_len"):
        generate(load("llama", vllm_max_model_length=100_000).engine, prompts[:1], 1, GREEDY)
    before = generate(learner.engine, prompts, 1, GREEDY)
    assert any("=" not in a.text and a.finish_reason == "stop" for a in before)
    assert agrees_with_transformers(learner, prompts)
    first = pid_of(learner)
    learner.engine.sleep()
    assert gone(first, 0)
    change(learner)
    assert agrees_with_transformers(learner, prompts)  # so the weights are the new ones
    second = pid_of(learner)
    assert second != first and group(second)
    drawn = learner.engine.generate_batches(requests_of([prompts[:2], prompts[2:]], 4, AT_RANDOM))
    assert len(next(drawn)) == 8
    drawn.close()
    assert gone(second, 0)


def test_a_run_that_is_killed_while_vllm_generates_leaves_no_process(prompts: list[Prompt]) -> None:
    program = f"""
from selftrain.types import SamplingParams
from selftrain.models.adapter import AdapterConfig
from selftrain.models.prompts import make_prompts
from selftrain.problems import load_problems
from tests.conftest import requests_of
from tests.engines.vllm.test_engine import load, pid_of
learner = load("llama")
prompts = make_prompts(load_problems("word_problems", split="test", max_problems=200))
for batch in learner.engine.generate_batches(requests_of([[prompt] for prompt in prompts], 64, {AT_RANDOM!r})):
    print(pid_of(learner), flush=True)
"""
    python_with_vllm()
    run = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    pid = int(run.stdout.readline())
    assert group(pid)
    run.kill()
    run.communicate()
    assert gone(pid, 60)


def tokens(answers: list[Response]) -> list[tuple[int, ...]]:
    return [answer.token_ids for answer in answers]
