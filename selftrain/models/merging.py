"""The weights of a model with its LoRA adapter merged, for engines that know plain layers only; a copy."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from selftrain.errors import ModelError

#: peft's parameter names of LoRA matrices.
_MATRICES = re.compile(r"\.lora_[AB]\.[^.]+\.weight$")


def is_lora_matrix(parameter: str) -> bool:
    """By the parameter's name."""
    return _MATRICES.search(parameter) is not None


def base_name(parameter: str) -> str:
    """A parameter's name in the model without the adapter."""
    return parameter.replace(".base_layer.", ".")


def merged_weight(linear: Any) -> Tensor:
    """`[out, in]`, of a linear layer with or without an adapter.

    Raises:
        ModelError: its base weight has 4 bits.
    """
    if not hasattr(linear, "base_layer"):
        weight: Tensor = linear.weight.detach()
        return weight
    weight = linear.base_layer.weight.detach()
    if not weight.dtype.is_floating_point:
        raise ModelError(
            "an adapter cannot be merged into 4-bit weights",
            "quantized again, or dequantized, the result would be another model than the one that was trained",
            "load the adapter with peft, on top of the 4-bit model",
        )
    with torch.no_grad():
        merged: Tensor = weight + sum(linear.get_delta_weight(name) for name in linear.active_adapters)
    return merged


def merged_weights(model: Any) -> dict[str, Tensor]:
    """Every parameter once, under its name in the model without the adapter."""
    modules = model.named_modules()
    adapted = {f"{name}.weight": merged_weight(module) for name, module in modules if hasattr(module, "base_layer")}
    plain = {base_name(name): value for name, value in model.named_parameters() if not is_lora_matrix(name)}
    return {name: adapted[name] if name in adapted else value.detach() for name, value in plain.items()}
