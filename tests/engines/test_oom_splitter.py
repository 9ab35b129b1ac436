"""A batch that runs out of memory is generated in parts, and the responses are the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from selftrain.engines.base import Engine
from selftrain.engines.oom_splitter import OomSplitter
from selftrain.engines.packed.architecture import read_architecture
from selftrain.engines.packed.engine import PackedEngine
from selftrain.engines.packed.sequence_group import SequenceGroup
from selftrain.engines.request import GenerateRequest
from selftrain.errors import ModelError
from selftrain.models.loading import LoadedModel
from selftrain.types import Prompt, Response, SamplingParams
from tests.conftest import engine_of

PARAMS = SamplingParams(0.8, max_completion_length=12)
CUDA, CPU = torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")


def cramped_model(model: Any, room: int, error: Exception) -> Any:
    """Makes the module fail on more rows than `room`; returns the handle that undoes it."""

    def check(module: Any, arguments: Any, inputs: dict[str, Any]) -> None:
        if len(inputs["input_ids"]) > room:
            raise error

    return model.register_forward_pre_hook(check, with_kwargs=True)


def drawn(responses: list[Response]) -> list[tuple[Prompt, int, tuple[int, ...]]]:
    return [(response.prompt, response.sample_index, response.token_ids) for response in responses]


def check_split(engine: Engine, whole: list[Response], request: GenerateRequest) -> None:
    assert drawn(engine.generate(request)) == drawn(whole)
    assert engine.description.endswith(", at most 3 responses at once (more ran out of memory)")
    # What did not fit is not tried again.
    assert drawn(engine.generate(request)) == drawn(whole)


def test_transformers_splits_a_batch_that_is_too_large(llama: LoadedModel, prompts: list[Prompt]) -> None:
    request = GenerateRequest(prompts[:5], 7, PARAMS, "key", first_index=5)
    whole = engine_of(llama).generate(request)
    hook = cramped_model(llama.model, 4, CUDA)
    try:
        check_split(engine_of(llama), whole, request)
    finally:
        hook.remove()


def test_the_packed_engine_splits_a_batch_that_is_too_large(
    llama: LoadedModel, prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = GenerateRequest(prompts[:5], 7, PARAMS, "key", first_index=5)
    whole = PackedEngine(engine_of(llama), read_architecture(llama.model)).generate(request)
    tried: list[int] = []

    def cramped(decoder: Any, prompts: Any, n: int, rows: torch.Tensor, start: Any) -> SequenceGroup:
        tried.append(len(rows))
        if len(rows) > 4:
            raise CPU
        return SequenceGroup(decoder, prompts, n, rows, start)

    monkeypatch.setattr("selftrain.engines.packed.engine.SequenceGroup", cramped)
    engine = PackedEngine(engine_of(llama), read_architecture(llama.model))
    check_split(engine, whole, request)
    assert tried[:3] == [35, 14, 7] and max(tried[3:]) == 3


def failing(error: Exception) -> tuple[list[int], Any]:
    tried: list[int] = []

    def generate(request: GenerateRequest) -> list[Response]:
        tried.append(request.num_responses)
        raise error

    return tried, generate


def test_a_response_without_room_is_named(prompts: list[Prompt]) -> None:
    tried, generate = failing(MemoryError())
    with pytest.raises(ModelError, match=r"(?s)one response to problem 'word_problems/test/0'.*max_completion_length"):
        OomSplitter().generate(generate, GenerateRequest(prompts[:2], 3, PARAMS, "key"))
    assert tried == [6, 3, 1]


def test_other_errors_are_not_taken_for_out_of_memory(prompts: list[Prompt]) -> None:
    tried, generate = failing(RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes"):
        OomSplitter().generate(generate, GenerateRequest(prompts[:2], 3, PARAMS, "key"))
    assert tried == [6]
