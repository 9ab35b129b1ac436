"""A model's weights with its LoRA adapter merged, for whoever knows plain layers only; the model stays as it is."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from selftrain.errors import ModelError

#: What peft calls the matrices of an adapter of linear layers.
_MATRICES = re.compile(r"\.lora_[AB]\.[^.]+\.weight$")


def is_adapters(name: str) -> bool:
    """Whether a parameter belongs to an adapter, by its name."""
    return _MATRICES.search(name) is not None


def plain_name(name: str) -> str:
    """What a parameter would be called if its layer were not adapted."""
    return name.replace(".base_layer.", ".")


def weight_of(linear: Any) -> Tensor:
    """`[out, in]`, of a layer with an adapter or without."""
    if not hasattr(linear, "base_layer"):
        weight: Tensor = linear.weight.detach()
        return weight
    weight = linear.base_layer.weight.detach()
    if not weight.dtype.is_floating_point:
        raise ModelError(
            "an adapter cannot be merged into weights of 4 bits",
            "rounded to 4 bits again they would be another model, and in full they are one that never answered",
            "load the adapter with peft, beside the model in 4 bits",
        )
    with torch.no_grad():
        merged: Tensor = weight + sum(linear.get_delta_weight(name) for name in linear.active_adapters)
    return merged


def merged_weights(model: Any) -> dict[str, Tensor]:
    """Every parameter once, by the names of a plain model."""
    adapted = {f"{name}.weight": weight_of(one) for name, one in model.named_modules() if hasattr(one, "base_layer")}
    return {
        plain: adapted[plain] if plain in adapted else value.detach()
        for plain, value in ((plain_name(n), v) for n, v in model.named_parameters() if not is_adapters(n))
    }
