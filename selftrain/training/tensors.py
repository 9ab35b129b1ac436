"""The tensors of a training: copied, restored, and saved as safetensors under the model's own parameter names.

Where the model is sharded over processes all of it is collective: each process makes the same calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor

#: By parameter name.
Weights = Mapping[str, Tensor]

#: Files of the trained weights, and of the optimizer, both in the state of a training and between rounds.
WEIGHTS, OPTIMIZER = "weights.safetensors", "optimizer.safetensors"
#: How many weights `bf16_sample` takes at most.
SAMPLED_WEIGHTS = 1_000_000


def in_processes() -> bool:
    """Whether the training is shared by several processes, of which this is one."""
    return dist.is_available() and dist.is_initialized()


def is_first_process() -> bool:
    return not in_processes() or dist.get_rank() == 0


def write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes a file; in the processes of a training a folder, with a file of each."""
    if in_processes():
        from selftrain.training import distributed_checkpoint

        distributed_checkpoint.save(path.with_suffix(""), tensors)
    else:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, path)


def exists(path: Path) -> bool:
    """Whether `write` has written it, in any number of processes."""
    return path.is_file() or path.with_suffix("").is_dir()


def read(path: Path, model: Any) -> dict[str, Tensor]:
    """What `write` has written, in any number of processes; of what is sharded in `model`, the own shard.

    Raises:
        OSError, SafetensorError, ValueError: it is missing or damaged.
    """
    if not in_processes() and path.is_file():
        # Cloned: a memory-mapped file may be removed before the tensors are.
        return {name: tensor.clone() for name, tensor in load_file(path).items()}
    from selftrain.training import distributed_checkpoint

    return distributed_checkpoint.load(path, dict(model.named_parameters()))


def trainable(model: Any) -> dict[str, torch.nn.Parameter]:
    """The trained parameters themselves, each once (tied weights have one name)."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def read_weights(path: Path, model: Any) -> dict[str, Tensor]:
    """
    Raises:
        OSError, SafetensorError, ValueError: as `read`, or they are the weights of another model.
    """
    weights = read(path, model)
    found, expected = ({name: value.shape for name, value in one.items()} for one in (weights, trainable(model)))
    if found != expected:
        raise ValueError("weights of another model")
    return weights


def clone_weights(model: Any) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in trainable(model).items()}


def copy_weights(model: Any, weights: Weights) -> None:
    """Copies weights into the live model."""
    for name, value in trainable(model).items():
        value.detach().copy_(weights[name])


def optimizer_state(model: Any, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Moments and step counts, as "exp_avg/<parameter>", "step/<parameter>" and so on."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {f"{key}/{names[p]}": value for p, state in optimizer.state.items() for key, value in state.items()}


def load_optimizer_state(model: Any, optimizer: torch.optim.Optimizer, saved: Mapping[str, Tensor]) -> None:
    """Restores what `optimizer_state` returned for the same model.

    Raises:
        ValueError: it belongs to another model; nothing is changed.
    """
    named = dict(model.named_parameters())
    state: dict[Tensor, dict[str, Tensor]] = {}
    for entry, value in saved.items():
        key, _, name = entry.partition("/")
        # A step count is a scalar, a moment has the shape of its weight.
        if name not in named or value.shape not in (torch.Size(), named[name].shape):
            raise ValueError(f"no weight for {entry}")
        state.setdefault(named[name], {})[key] = value.to(named[name].device)
    optimizer.state.clear()
    optimizer.state.update(state)


def bf16_sample(model: Any) -> Tensor:
    """Every n-th trained weight in bfloat16, up to a million: enough to tell whether a training changed any."""
    weights = [value.detach() for value in trainable(model).values()]
    every = 1 + sum(value.numel() for value in weights) // SAMPLED_WEIGHTS
    return torch.cat([whole(value).flatten()[::every].to(torch.bfloat16) for value in weights])


def whole(value: Any) -> Tensor:
    """A tensor with the shards of all processes."""
    tensor: Tensor = value.full_tensor() if hasattr(value, "full_tensor") else value
    return tensor
