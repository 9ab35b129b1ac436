"""Every architecture that the packed engine knows, as a tiny model with random weights, beside the model itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
import transformers

from selftrain.engines.packed import fastest_engine
from selftrain.engines.packed.architecture import NotPackedError, read_architecture
from selftrain.engines.packed.compiled_attention import can_compute, kernels
from selftrain.engines.packed.engine import PackedEngine
from selftrain.engines.packed.select import check_agreement
from selftrain.engines.transformers import TransformersEngine
from selftrain.models.loading import LoadedModel
from selftrain.types import Prompt, SamplingParams
from tests.conftest import engine_of, generate

SIZES: dict[str, Any] = {
    "vocab_size": 700, "hidden_size": 48, "head_dim": 16, "intermediate_size": 80, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024, "initializer_range": 0.1,
    "pad_token_id": 1, "bos_token_id": None, "eos_token_id": 0,
}  # fmt: skip
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}  # fmt: skip
BOTH_ROPES = {
    "full_attention": {"rope_type": "linear", "rope_theta": 1e5, "factor": 8.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
}
MIXED = ["sliding_attention", "full_attention", "sliding_attention"]


def made(name: str, **settings: Any) -> Any:
    """A model whose every weight, norms and biases too, differs from what it is initialised to."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}{'Text' if name == 'Gemma3' else ''}Config")(**SIZES | settings)
    model = getattr(transformers, f"{name}ForCausalLM")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


MODELS: dict[str, Callable[[], Any]] = {
    "llama": lambda: made("Llama"),
    "llama, a key for every query, tied": lambda: made("Llama", num_key_value_heads=4, tie_word_embeddings=True),
    "llama, one key for all, wide heads": lambda: made("Llama", num_key_value_heads=1, head_dim=20),
    "llama 3 positions": lambda: made("Llama", rope_parameters=LLAMA3),
    "llama, heads of an odd number of blocks": lambda: made("Llama", num_key_value_heads=1, head_dim=24),
    "qwen2": lambda: made("Qwen2"),
    "qwen2, windows": lambda: made("Qwen2", use_sliding_window=True, sliding_window=20, max_window_layers=1),
    "qwen3": lambda: made("Qwen3"),
    "gemma2": lambda: made("Gemma2", query_pre_attn_scalar=20, sliding_window=512),
    "gemma2, windows": lambda: made("Gemma2", query_pre_attn_scalar=20, sliding_window=20),
    "gemma2, capped low": lambda: made("Gemma2", head_dim=32, attn_logit_softcapping=0.5, sliding_window=20),
    "gemma2, uncapped": lambda: made(
        "Gemma2", attn_logit_softcapping=None, final_logit_softcapping=None, sliding_window=7
    ),
    "gemma3, windows": lambda: made(
        "Gemma3", query_pre_attn_scalar=16, sliding_window=20, layer_types=MIXED,
        rope_parameters=BOTH_ROPES, final_logit_softcapping=20.0,
    ),
}  # fmt: skip


def reference_of(model: Any, llama: LoadedModel) -> TransformersEngine:
    return engine_of(LoadedModel(model, llama.tokenizer, llama.stop_ids))


@pytest.mark.parametrize("name", MODELS)
def test_tokens_and_logprobs_are_the_models_own(name: str, llama: LoadedModel, prompts: list[Prompt]) -> None:
    model = MODELS[name]()
    reference, architecture = reference_of(model, llama), read_architecture(model)
    # Heads of some sizes are left to torch.
    attentions = (True, False) if kernels() is not None and can_compute(architecture) else (False,)
    engines = [PackedEngine(reference, architecture, compiled=compiled) for compiled in attentions]
    # 51 to 66 tokens of prompt: more than twice the windows.
    for sampling, n in (
        (SamplingParams(0.0, max_completion_length=24), 1),
        (SamplingParams(0.5, max_completion_length=24), 3),
    ):
        expected = generate(reference, prompts[:7], n, sampling)
        by_hand = [logprob_by_hand(model, reference.renderer.prompt_ids(one.prompt), one.token_ids) for one in expected]
        for packed in engines:
            found = generate(packed, prompts[:7], n, sampling)
            assert [one.token_ids for one in found] == [one.token_ids for one in expected]
            assert [one.logprob for one in found] == pytest.approx(by_hand, abs=1e-3)
    completions = [" 3+4=7. #### 7", " Tom has 3 apples and gives 1 away. He has 3-1=2 left. #### 2"] * 5
    asked = [*prompts[:9], prompts[0]]
    scores = pytest.approx(reference.logprob(asked, completions), abs=1e-3)
    assert all(packed.logprob(asked, completions) == scores for packed in engines)


def logprob_by_hand(model: Any, prompt_ids: list[int], token_ids: Sequence[int]) -> float:
    with torch.inference_mode():
        logits = model(torch.tensor([[*prompt_ids, *token_ids]])).logits[0].double().log_softmax(-1)
    return sum(logits[len(prompt_ids) + i - 1, token].item() for i, token in enumerate(token_ids))


def test_heads_of_some_sizes_are_left_to_torch() -> None:
    left = {name for name in MODELS if not can_compute(read_architecture(MODELS[name]()))}
    assert left == {"llama, one key for all, wide heads"}


@pytest.mark.parametrize("name", MODELS)
def test_a_known_architecture_is_selected(name: str, llama: LoadedModel) -> None:
    engine = fastest_engine(reference_of(MODELS[name](), llama))
    assert isinstance(engine, PackedEngine) and engine.description.startswith("our own forward pass")


def test_the_seed_models_are_selected(loaded: LoadedModel) -> None:
    assert isinstance(fastest_engine(engine_of(loaded)), PackedEngine)


def with_a_new_part() -> Any:
    model = made("Llama")
    model.model.layers[1].mlp.adapter = torch.nn.Linear(4, 4)
    return model


def in_its_own_class() -> Any:
    class Mine(transformers.LlamaForCausalLM):  # type: ignore[misc]
        pass

    return Mine(made("Llama").config)


UNKNOWN: dict[str, tuple[Callable[[], Any], str]] = {
    "another architecture": (
        lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=700, n_embd=32, n_layer=1, n_head=2)),
        "GPT2LMHeadModel is none of LlamaForCausalLM, ",
    ),
    "a class of one's own": (in_its_own_class, "Mine is none of"),
    "biases": (lambda: made("Llama", attention_bias=True), "differs from a plain LlamaForCausalLM in 12 parameters"),
    "a new part": (with_a_new_part, "model.layers.1.mlp.adapter.bias among them"),
    "half precision": (lambda: made("Llama").bfloat16(), "is no plain float32 parameter"),
    "elsewhere": (lambda: made("Llama").to("meta"), "is on meta"),
    "activation": (lambda: made("Llama", hidden_act="relu"), "activation 'relu'"),
    "positions": (
        lambda: made("Llama", rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}),
        "rotary embeddings of type 'dynamic'",
    ),
    "capped scores": (lambda: made("Gemma3", attn_logit_softcapping=5.0), "soft-capped attention scores"),
    "both directions": (lambda: made("Gemma3", use_bidirectional_attention=True), "bidirectional attention"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_model_runs_with_its_own_code(name: str, llama: LoadedModel) -> None:
    make, reason = UNKNOWN[name]
    reference = reference_of(make(), llama)
    engine = fastest_engine(reference)
    assert engine is reference
    assert reason in engine.description and engine.description.startswith("transformers' own forward pass, since ")
    assert "\n" not in engine.description


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"query_scale": 0.0}, "it would write"),
        ({"eps": 3e-5}, "log-probabilities would be"),
        ({"eps": float("nan")}, "it would write"),
    ],
)
def test_a_model_that_computes_something_else_runs_with_its_own_code(
    change: dict[str, float], reason: str, llama: LoadedModel
) -> None:
    """As it would be with a version of transformers that computes something else."""
    reference, architecture = engine_of(llama), read_architecture(llama.model)
    check_agreement(reference, PackedEngine(reference, architecture))
    with pytest.raises(NotPackedError, match=reason):
        check_agreement(reference, PackedEngine(reference, replace(architecture, **change)))


def test_windows_are_part_of_the_comparison(llama: LoadedModel, compiled: bool) -> None:
    """The short prompts of the comparison do not reach past a window of 400; the long one does."""
    model = made("Gemma2", sliding_window=400)
    reference, architecture = reference_of(model, llama), read_architecture(model)
    check_agreement(reference, PackedEngine(reference, architecture, compiled=compiled))
    wider = replace(architecture, windows={kind: window and 440 for kind, window in architecture.windows.items()})
    with pytest.raises(NotPackedError, match="log-probabilities would be"):
        check_agreement(reference, PackedEngine(reference, wider, compiled=compiled))


def test_reading_says_what_is_missing() -> None:
    with pytest.raises(NotPackedError, match="activation"):
        read_architecture(made("Qwen2", hidden_act="gelu"))
