"""What a model's own generation config changes in a harness that calls `generate` with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selftrain.errors import ModelError

#: Settings that change greedy decoding, each with the value that is off beside None.
_GREEDY: Mapping[str, Any] = {
    "repetition_penalty": 1.0, "no_repeat_ngram_size": 0, "encoder_repetition_penalty": 1.0,
    "encoder_no_repeat_ngram_size": 0, "bad_words_ids": [], "min_length": 0, "min_new_tokens": 0,
    "max_new_tokens": None, "num_beams": 1, "exponential_decay_length_penalty": None, "suppress_tokens": [],
    "begin_suppress_tokens": [], "forced_bos_token_id": None, "forced_eos_token_id": None, "sequence_bias": {},
    "guidance_scale": 1.0, "penalty_alpha": 0.0, "stop_strings": [], "max_time": None, "watermarking_config": None,
    "dola_layers": None,
}  # fmt: skip


def shipped_settings(generation_config: Any) -> dict[str, Any]:
    """Those that change greedy decoding."""
    found = {name: getattr(generation_config, name, None) for name in _GREEDY}
    return {name: value for name, value in found.items() if value is not None and value != _GREEDY[name]}


def repetition_penalty(generation_config: Any, model: str, harness: str) -> float:
    """1.0 where the model ships none.

    Raises:
        ModelError: the model ships something else that changes greedy decoding, which we do not have.
    """
    shipped = shipped_settings(generation_config)
    penalty = float(shipped.pop("repetition_penalty", 1.0))
    if shipped:
        told = ", ".join(f"{name} = {value!r:.60}" for name, value in shipped.items())
        raise ModelError(
            f"{model} ships {told} in its generation config",
            f"{harness} generates with it, and we cannot",
            "evaluate a copy of the model without it in generation_config.json, and say so beside the figure",
        )
    return penalty
