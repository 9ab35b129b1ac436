"""Where memory does not suffice for a unit, it is answered in parts, and comes to the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from selftrain.engines.packed.architecture import read_architecture
from selftrain.engines.packed.engine import PackedEngine
from selftrain.engines.transformers import TransformersEngine
from selftrain.errors import ModelError
from selftrain.models.loading import LoadedModel
from selftrain.types import Prompt, SamplingParams
from tests.conftest import engine_of

SAMPLING = SamplingParams(0.8, max_completion_length=12)


def cramped(engine: Any, room: int, error: Exception, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """There is room for so many answers at once; gives the numbers that are tried."""
    tried: list[int] = []
    right = engine._generate

    def generate(prompts, n, *others):
        tried.append(len(prompts) * n)
        if tried[-1] > room:
            raise error
        return right(prompts, n, *others)

    monkeypatch.setattr(engine, "_generate", generate)
    return tried


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("transformers", torch.OutOfMemoryError("CUDA out of memory")),
        ("packed", RuntimeError("DefaultCPUAllocator: can't allocate memory")),
    ],
)
def test_a_unit_too_large_is_answered_in_parts(
    kind: str, error: Exception, llama: LoadedModel, prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = engine_of(llama)
    engine: TransformersEngine | PackedEngine = slow
    if kind == "packed":
        engine = PackedEngine(slow, read_architecture(llama.model))
    asked = (SAMPLING, "key", 0, 5)
    whole = engine.generate(prompts[:5], 7, *asked)
    tried = cramped(engine, 3, error, monkeypatch)
    parts = engine.generate(prompts[:5], 7, *asked)
    assert [(r.prompt, r.sample_index, r.token_ids) for r in parts] == [
        (r.prompt, r.sample_index, r.token_ids) for r in whole
    ]
    # What did not fit once is not tried again.
    del tried[:]
    engine.generate(prompts[:5], 7, *asked)
    assert max(tried) <= 4 and engine.how.endswith(", 3 answers at a time, since memory does not suffice for more")


def test_an_answer_without_room_is_named(
    llama: LoadedModel, prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(llama)
    cramped(engine, 0, MemoryError(), monkeypatch)
    with pytest.raises(ModelError, match=r"(?s)one answer to problem 'word_problems/test/0'.*max_completion_length"):
        engine.generate(prompts[:2], 3, SAMPLING, "key", 0)


def test_other_errors_are_not_taken_for_a_lack_of_memory(
    llama: LoadedModel, prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(llama)
    tried = cramped(engine, 0, RuntimeError("shapes do not match"), monkeypatch)
    with pytest.raises(RuntimeError, match="shapes"):
        engine.generate(prompts[:2], 3, SAMPLING, "key", 0)
    assert tried == [6]
