"""The tensors of a training: copied, put back, and kept in safetensors files under the model's own names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

#: By the names of the model.
Weights = Mapping[str, Tensor]

#: The optimizer's file, in the state of a training and between rounds.
OPTIMIZER = "optimizer.safetensors"
#: How many weights are looked at to tell whether a training changed them.
SEEN_WEIGHTS = 1_000_000


@dataclass
class Tensors:
    """All tensors that the rest of a training depends on."""

    weights: Weights
    #: As `of_optimizer` gives them.
    optimizer: Mapping[str, Tensor]
    #: What `images` gave before the first step.
    before: Tensor
    #: Weights of the best epoch; None where no epoch is measured.
    best: Weights | None

    def write(self, folder: Path) -> None:
        write(folder / "weights.safetensors", self.weights)
        write(folder / OPTIMIZER, self.optimizer)
        write(folder / "before.safetensors", {"before": self.before})
        if self.best is not None:
            write(folder / "best.safetensors", self.best)

    @classmethod
    def read(cls, folder: Path, model: Any) -> Tensors:
        """
        Raises:
            OSError, SafetensorError: a file is missing or damaged.
            ValueError: the weights are not those of such a model.
        """
        best = folder / "best.safetensors"
        return cls(
            weights=_of_model(read(folder / "weights.safetensors"), model),
            optimizer=read(folder / OPTIMIZER),
            before=read(folder / "before.safetensors")["before"],
            best=_of_model(read(best), model) if best.exists() else None,
        )


def write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, path)


def read(path: Path) -> dict[str, Tensor]:
    # Cloned, since the file may be gone before the tensors are.
    return {name: tensor.clone() for name, tensor in load_file(path).items()}


def live(model: Any) -> dict[str, torch.nn.Parameter]:
    """What is trained of a model, itself, each weight once."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def copied(model: Any) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in live(model).items()}


def put(model: Any, weights: Weights) -> None:
    """Copies weights into the live model."""
    for name, value in live(model).items():
        value.detach().copy_(weights[name])


def _of_model(weights: Weights, model: Any) -> Weights:
    found, wanted = ({name: value.shape for name, value in one.items()} for one in (weights, live(model)))
    if found != wanted:
        raise ValueError("weights of another model")
    return weights


def of_optimizer(model: Any, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Moments and step counts by "exp_avg/" and the like and the name of the weight."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {f"{what}/{names[p]}": value for p, state in optimizer.state.items() for what, value in state.items()}


def put_optimizer(model: Any, optimizer: torch.optim.Optimizer, saved: Mapping[str, Tensor]) -> None:
    """Gives an optimizer what `of_optimizer` told of another of the same model.

    Raises:
        ValueError: it was of another model; nothing is changed.
    """
    named = dict(model.named_parameters())
    state: dict[Tensor, dict[str, Tensor]] = {}
    for key, value in saved.items():
        what, _, name = key.partition("/")
        # A step count has no shape, a moment that of its weight.
        if name not in named or value.shape not in (torch.Size(), named[name].shape):
            raise ValueError(f"no weight for {key}")
        state.setdefault(named[name], {})[what] = value.to(named[name].device)
    optimizer.state.clear()
    optimizer.state.update(state)


def images(model: Any) -> Tensor:
    """Up to a million trained weights as bfloat16, evenly taken: enough to see whether a training changed any."""
    trained = [value.detach() for value in live(model).values()]
    every = 1 + sum(value.numel() for value in trained) // SEEN_WEIGHTS
    return torch.cat([value.flatten()[::every].to(torch.bfloat16) for value in trained])
