"""Weights and gradients between the processes of a training. Collective: every process has to make the same calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

#: Elements sent at once, 64 MiB of float32: sending many small tensors one by one would take longer.
CHUNK = 2**24

#: Waits until a collective operation has finished.
Wait = Callable[[dist.Work], object]


def broadcast_weights(weights: Sequence[Tensor], wait: Wait = dist.Work.wait) -> None:
    """Copies the weights of process 0 into those of all others."""
    for chunk in _chunks(weights):
        flat = torch.cat([tensor.detach().flatten() for tensor in chunk])
        wait(dist.broadcast(flat, 0, async_op=True))
        if dist.get_rank() != 0:
            for tensor, part in zip(chunk, flat.split([tensor.numel() for tensor in chunk]), strict=True):
                tensor.detach().copy_(part.view_as(tensor))


def reduce_gradients(weights: Sequence[Tensor], wait: Wait = dist.Work.wait) -> None:
    """Sums the gradients of all processes into those of process 0."""
    for chunk in _chunks(weights):
        flat = torch.cat([torch.zeros_like(t).flatten() if t.grad is None else t.grad.flatten() for t in chunk])
        wait(dist.reduce(flat, 0, async_op=True))
        if dist.get_rank() == 0:
            for tensor, part in zip(chunk, flat.split([tensor.numel() for tensor in chunk]), strict=True):
                tensor.grad = part.view_as(tensor).clone()


def _chunks(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    chunk: list[Tensor] = []
    for tensor in tensors:
        if chunk and sum(other.numel() for other in chunk) + tensor.numel() > CHUNK:
            yield chunk
            chunk = []
        chunk.append(tensor)
    if chunk:
        yield chunk
