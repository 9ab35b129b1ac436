"""What a model's own generation config changes in a harness that calls `generate` with it."""

from __future__ import annotations

from typing import Any

from selftrain.errors import ModelError
from selftrain.models.origin import shipped_settings


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
