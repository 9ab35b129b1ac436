"""Text that all prompts start with is computed once, with the tokens of the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from selftrain.engines.packed.architecture import read_architecture
from selftrain.engines.packed.decoder import Decoder
from selftrain.engines.packed.engine import PackedEngine
from selftrain.engines.packed.kv_cache import BLOCK
from selftrain.models.loading import LoadedModel
from selftrain.models.shared_start import SHARED_BLOCK, shared_start
from selftrain.types import Prompt, SamplingParams
from tests.conftest import engine_of, generate
from tests.engines.packed.test_architectures import MODELS, reference_of
from tests.engines.packed.test_engine import assert_same, packed_of

SHOTS = tuple((f"Tom has {i} apples and finds {i}.", f"{i}+{i}={2 * i}. #### {2 * i}") for i in range(8))
AT_RANDOM = SamplingParams(0.8, max_completion_length=40)


def with_shots(prompts: Sequence[Prompt]) -> list[Prompt]:
    return [Prompt(one.problem_id, one.question, few_shot=SHOTS) for one in prompts]


@pytest.fixture
def lengths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tokens of each forward pass."""
    found: list[int] = []
    hidden_states = Decoder.hidden_states

    def watched(self: Decoder, token_ids: torch.Tensor, *rest: Any) -> torch.Tensor:
        found.append(len(token_ids))
        return hidden_states(self, token_ids, *rest)

    monkeypatch.setattr(Decoder, "hidden_states", watched)
    return found


def test_a_start_is_cut_to_whole_blocks_and_leaves_a_token_of_each_prompt() -> None:
    text = list(range(100))
    assert shared_start([[*text, 1], [*text, 2]]) == tuple(text[:96])
    assert shared_start([text[:48], text[:50], text]) == tuple(text[:32])
    assert shared_start([text[:49], text]) == tuple(text[:48])
    assert shared_start([[1, *text], [2, *text]]) == shared_start([text]) == shared_start([]) == ()
    assert SHARED_BLOCK % BLOCK == 0


def test_shots_are_read_once_and_the_tokens_are_those_of_the_reference(
    loaded: LoadedModel, prompts: list[Prompt], compiled: bool, lengths: list[int]
) -> None:
    packed, asked = packed_of(loaded, batch_size=10, compiled=compiled), with_shots(prompts[:7])
    expected = generate(packed.reference, asked, 3, AT_RANDOM)
    assert_same(generate(packed, asked, 3, AT_RANDOM), expected)
    shots = max(lengths)
    assert lengths.count(shots) == 1 and shots > 150
    # And not again for the next batch.
    del lengths[:]
    assert_same(generate(packed, asked[3:6], 3, AT_RANDOM), expected[9:18])
    assert max(lengths) < shots


WINDOWS = [name for name in MODELS if "windows" in name or "capped" in name]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if "capped low" in name else pytest.mark.slow) for name in WINDOWS]
)
def test_windows_reach_into_the_shared_start(
    name: str, llama: LoadedModel, prompts: list[Prompt], compiled: bool
) -> None:
    model = MODELS[name]()
    reference = reference_of(model, llama)
    packed, asked = PackedEngine(reference, read_architecture(model), compiled=compiled), prompts[:4]
    # These have room for 16 to 32 tokens, of which their questions take all: the start is a sentence of the questions.
    same = [Prompt(one.problem_id, "Tom has 12 apples, and eats 5 of them, and then? " + one.question) for one in asked]
    for some in (same, with_shots(asked)):
        if reference.too_long(some, 40):
            continue
        assert_same(generate(packed, some, 2, AT_RANDOM), generate(reference, some, 2, AT_RANDOM))


def test_scores_after_a_shared_start_are_those_of_the_reference(
    loaded: LoadedModel, prompts: list[Prompt], compiled: bool, lengths: list[int]
) -> None:
    packed, asked = packed_of(loaded, compiled=compiled), with_shots(prompts[:4]) * 3
    texts = [f" {number}. #### {number}" * (1 + number % 3) for number in range(12)]
    assert packed.logprob(asked, texts) == pytest.approx(engine_of(loaded).logprob(asked, texts), abs=1e-4, rel=1e-6)
    start, rests, _ = lengths
    assert start > 200 and rests < 4 * start


def test_new_weights_read_the_start_again(trainable: LoadedModel, prompts: list[Prompt]) -> None:
    packed, asked = packed_of(trainable), with_shots(prompts[:3])
    generate(packed, asked, 1, AT_RANDOM)
    with torch.no_grad():
        trainable.model.model.layers[0].self_attn.v_proj.weight.mul_(1.5)
    assert_same(generate(packed, asked, 1, AT_RANDOM), generate(packed.reference, asked, 1, AT_RANDOM))
