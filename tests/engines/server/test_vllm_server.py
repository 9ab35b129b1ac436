"""vLLM's server, which is what `vllm serve` starts: SELFTRAIN_VLLM_PYTHON names a Python that has it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from selftrain.engines.server.config import ServerConfig
from selftrain.engines.server.engine import ServerEngine
from selftrain.models.loading import load_model
from selftrain.models.seeds import SEED_MODELS, seed_model
from selftrain.types import Prompt, SamplingParams
from tests.conftest import engine_of, generate
from tests.engines.vllm.pythons import python_with_vllm

pytestmark = pytest.mark.slow

#: By its module, since the program `vllm` does not start where the distribution has another name. Nothing to compile,
#: small enough for a shared machine, and every prompt is read in one step: in two, the CPU build fails where requests
#: have seeds.
COMMAND = (
    "env TORCH_COMPILE_DISABLE=1 VLLM_NO_USAGE_STATS=1 {python} -P -m vllm.entrypoints.openai.api_server "
    "--model {{model}} --port {{port}} --host 127.0.0.1 --dtype float32 --generation-config vllm --enforce-eager "
    "--no-enable-chunked-prefill --max-model-len 512 --gpu-memory-utilization 0.06"
)
GREEDY = SamplingParams(0.0, max_completion_length=48)
AT_RANDOM = SamplingParams(0.8, 40, 0.95, max_completion_length=48)


@pytest.mark.parametrize("name", SEED_MODELS)
def test_greedy_answers_are_those_of_transformers(name: str, prompts: list[Prompt]) -> None:
    loaded = load_model(str(seed_model(name)), device="cpu")
    reference = engine_of(loaded)

    def save(folder: Path) -> None:
        loaded.model.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)

    command = COMMAND.format(python=python_with_vllm())
    settings = ServerConfig(server_command=command, server_start_timeout=1800, max_concurrency=4)
    with closing(ServerEngine(engine_of(loaded), settings, save)) as engine:
        expected, found = (generate(one, prompts, 1, GREEDY) for one in (reference, engine))
        assert [replace(one, logprob=0.0) for one in found] == [replace(one, logprob=0.0) for one in expected]
        assert [one.logprob for one in found] == pytest.approx([one.logprob for one in expected], abs=1e-3)
        penalized = replace(GREEDY, repetition_penalty=1.3)
        assert [one.text for one in generate(engine, prompts[:3], 1, penalized)] == [
            one.text for one in generate(reference, prompts[:3], 1, penalized)
        ]
        drawn = generate(engine, prompts[:4], 2, AT_RANDOM)
        assert generate(engine, prompts[:4], 2, AT_RANDOM) == drawn
