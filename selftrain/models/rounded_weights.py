"""Frozen weights in bfloat16: autocast rounds them anew in every forward pass, and each pass keeps its own copy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch.nn import Linear
from torch.nn import functional as F

from selftrain.models.logprobs import PlainHead


class RoundedWeights:
    """Those of a model's linear layers that are not trained, rounded once. What is computed is the same.

    A pass that keeps its activations keeps the rounded weights as well, so that this takes no more memory than one
    pass, but for the head where its logits are computed in parts. None of 4-bit or sharded weights.

    Args:
        wanted: whether there are to be any.
    """

    def __init__(self, model: Any, *, wanted: bool = True) -> None:
        self._layers = [
            (module, module.weight.detach().bfloat16())
            for module in (model.modules() if wanted else ())
            if type(module) is Linear and type(module.weight) is torch.nn.Parameter and not module.weight.requires_grad
        ]

    def head(self, head: PlainHead) -> PlainHead:
        """The same, rounded if its weight is among these."""
        found = (rounded for module, rounded in self._layers if module.weight is head.weight)
        return replace(head, weight=next(found, head.weight))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Forward passes inside, under autocast, take them. The layers and their weights stay what they are."""
        for module, rounded in self._layers:
            module.forward = partial(F.linear, weight=rounded, bias=module.bias)  # type: ignore[method-assign]
        try:
            yield
        finally:
            for module, _ in self._layers:
                del module.forward
