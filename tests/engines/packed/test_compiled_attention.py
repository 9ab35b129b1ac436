"""Attention that is compiled with the package; the tests of the packed engine compare it with the model's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from selftrain.engines.packed import compiled_attention as compiled
from selftrain.engines.packed import fastest_engine
from selftrain.engines.packed.compiled_attention import kernels
from selftrain.models.loading import LoadedModel
from selftrain.models.logprobs import torch_threads
from selftrain.types import Prompt, SamplingParams
from tests.conftest import engine_of, generate
from tests.engines.packed.test_engine import assert_same, packed_of

BUILT = pytest.mark.skipif(kernels() is None, reason="no C compiler was there when the package was installed")
AT_RANDOM = SamplingParams(1.0, max_completion_length=24)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Where the library is looked for."""
    kernels.cache_clear()
    monkeypatch.setattr(compiled, "LIBRARY", tmp_path / "kernels.so")
    yield tmp_path / "kernels.so"
    kernels.cache_clear()


@BUILT
def test_a_run_says_that_attention_is_compiled(llama: LoadedModel) -> None:
    assert fastest_engine(engine_of(llama)).description == "our own forward pass, attention compiled"


@pytest.mark.parametrize("content", [None, b"", b"no library"])
def test_without_a_library_torch_computes_the_same(
    content: bytes | None, library: Path, llama: LoadedModel, prompts: list[Prompt]
) -> None:
    if content is not None:
        library.write_bytes(content)
    packed = packed_of(llama)
    assert packed.description == "our own forward pass" and not packed.compiled
    assert_same(generate(packed, prompts, 2, AT_RANDOM), generate(packed.reference, prompts, 2, AT_RANDOM))


@BUILT
def test_completions_outgrow_their_first_cache(trainable: LoadedModel, prompts: list[Prompt]) -> None:
    """Nothing ends them, so that they become longer than the cache is at first."""
    with torch.no_grad():
        trainable.model.lm_head.weight[trainable.tokenizer.eos_token_id] = 0.0
    packed, long = packed_of(trainable), SamplingParams(0.8, 20, max_completion_length=150)
    ours = generate(packed, prompts[:2], 3, long)
    assert_same(ours, generate(packed.reference, prompts[:2], 3, long))
    assert min(len(one.token_ids) for one in ours) == 150


@BUILT
def test_threads_share_the_rows_and_change_no_bit(
    llama: LoadedModel, prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, together = packed_of(llama), packed_of(llama)
    together._small = False  # as of a model for which torch uses several threads
    products = torch.nn.functional.linear
    with torch_threads(3):

        def on_one_thread(*values: torch.Tensor | None) -> torch.Tensor:
            with torch_threads(1):
                return products(*values)  # type: ignore[arg-type]

        monkeypatch.setattr("torch.nn.functional.linear", on_one_thread)
        found = generate(together, prompts, 4, AT_RANDOM)
    assert_same(found, generate(alone, prompts, 4, AT_RANDOM))


@BUILT
@pytest.mark.parametrize("part", ["q_proj", "k_proj", "v_proj"])
def test_a_weight_that_is_not_finite_shows(trainable: LoadedModel, prompts: list[Prompt], part: str) -> None:
    with torch.no_grad():
        trainable.model.get_parameter(f"model.layers.1.self_attn.{part}.weight")[3, 5] = torch.nan
    found = packed_of(trainable).logprob(prompts[:3], [" 3", " 4", " 5 and 6"])
    assert all(value != value for value in found)
