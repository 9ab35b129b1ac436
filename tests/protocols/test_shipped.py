"""Generation settings that a model ships, which other harnesses use without a word."""

from __future__ import annotations

import pytest
from transformers import GenerationConfig

from selftrain.errors import ModelError
from selftrain.models.origin import shipped_settings
from selftrain.protocols.shipped import repetition_penalty


def test_what_only_concerns_sampling_or_the_tokens_of_the_model_is_no_matter() -> None:
    usual = GenerationConfig(
        do_sample=True, temperature=0.6, top_p=0.9, top_k=20, eos_token_id=[1, 2], pad_token_id=1, bos_token_id=0
    )
    assert shipped_settings(usual) == {} and shipped_settings(GenerationConfig()) == {}
    assert repetition_penalty(usual, "m", "lm-eval") == 1.0


def test_a_repetition_penalty_is_found() -> None:
    assert repetition_penalty(GenerationConfig(repetition_penalty=1.1), "m", "lm-eval") == 1.1


@pytest.mark.parametrize("shipped", [{"no_repeat_ngram_size": 3}, {"max_new_tokens": 2048}, {"suppress_tokens": [7]}])
def test_what_we_do_not_have_is_named(shipped: dict[str, object]) -> None:
    (name,) = shipped
    with pytest.raises(ModelError, match=f"m ships {name} = "):
        repetition_penalty(GenerationConfig(**shipped), "m", "lm-eval")
