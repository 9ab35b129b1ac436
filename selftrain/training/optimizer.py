"""AdamW on the trained weights, and its state between rounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from selftrain.errors import ModelError
from selftrain.training import tensors
from selftrain.training.base import TrainingConfig


def make_optimizer(model: Any) -> torch.optim.AdamW:
    return torch.optim.AdamW(tensors.trainable(model).values(), fused=True)


def load_optimizer(model: Any, folder: Path) -> torch.optim.AdamW | None:
    """With the state that is saved in a folder, by any number of processes; None where there is none.

    Raises:
        ModelError: it belongs to another model, or cannot be read.
    """
    file = folder / tensors.OPTIMIZER
    if not tensors.exists(file):
        return None
    optimizer = make_optimizer(model)
    try:
        tensors.load_optimizer_state(model, optimizer, tensors.read(file, model))
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError(
            f"{file} is not the optimizer state of this model: {error}",
            "its moments have to be those of the weights that are trained",
            "use the state that was saved with these weights",
        ) from error
    return optimizer


def configure(optimizer: torch.optim.AdamW, config: TrainingConfig) -> None:
    """All settings but the learning rate, which is set at every step."""
    for group in optimizer.param_groups:
        group["betas"] = (config.adam_beta1, config.adam_beta2)
        group["eps"], group["weight_decay"] = config.adam_epsilon, config.weight_decay
