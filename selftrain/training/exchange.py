"""Weights and gradients between the processes of a training; process 0 has the say. All have to call alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

#: Numbers that travel at once, 64 MiB: many small tensors each by itself would take longer.
AT_ONCE = 2**24

#: Waits until an exchange is over.
Wait = Callable[[dist.Work], object]


def spread(weights: Sequence[Tensor], wait: Wait = dist.Work.wait) -> None:
    """Everybody's weights become those of process 0."""
    for some in _at_once(weights):
        flat = torch.cat([one.detach().flatten() for one in some])
        wait(dist.broadcast(flat, 0, async_op=True))
        if dist.get_rank() != 0:
            for one, part in zip(some, flat.split([one.numel() for one in some]), strict=True):
                one.detach().copy_(part.view_as(one))


def add_up(weights: Sequence[Tensor], wait: Wait = dist.Work.wait) -> None:
    """The gradients of process 0 become the sums of everybody's."""
    for some in _at_once(weights):
        flat = torch.cat([torch.zeros_like(one).flatten() if one.grad is None else one.grad.flatten() for one in some])
        wait(dist.reduce(flat, 0, async_op=True))
        if dist.get_rank() == 0:
            for one, part in zip(some, flat.split([one.numel() for one in some]), strict=True):
                one.grad = part.view_as(one).clone()


def _at_once(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    some: list[Tensor] = []
    for one in tensors:
        if some and sum(other.numel() for other in some) + one.numel() > AT_ONCE:
            yield some
            some = []
        some.append(one)
    if some:
        yield some
