"""Matrix products, the larger part of all work: each by the fastest exact route this CPU has."""

from __future__ import annotations

import math
import time
from functools import cache
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from selftrain.models.logprobs import torch_threads

#: oneDNN's product with a pre-packed weight: semi-private in torch, so it may be missing.
_ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None
#: Weights from which on oneDNN multiplies. With AVX-512 it is up to twice as fast as torch's own choice (on AMD, MKL
#: stays at AVX2). With AVX2 it is up to 2.6 times as fast where the weight is larger than the cache and rows are 4 to
#: 64, for MKL rearranges the weight anew in each call; for small weights they are equal, and oneDNN starts more slowly.
#: A rule and not a measurement: a run that is resumed has to round as before.
ONEDNN_FROM = 0 if torch.backends.cpu.get_cpu_capability().startswith("AVX512") else 2**20
#: Rows that a weight is packed for; other numbers of rows work as well.
_PACKED_FOR_ROWS = 128
#: Measurements of each number format.
_TURNS = 7


class Linear(Protocol):
    """A frozen linear layer: `[rows, in]` float32 to `[rows, out]` float32. Multiplies in the dtype of its weight."""

    def __call__(self, x: Tensor) -> Tensor: ...

    def add_to(self, residual: Tensor, x: Tensor) -> Tensor:
        """The residual stream plus this layer's output; may overwrite `residual`."""
        ...


class PlainLinear:
    """By torch's own choice; slow in bfloat16 on a CPU without instructions for it."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight, self.bias = weight, bias

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x.to(self.weight.dtype), self.weight, self.bias).float()

    def add_to(self, residual: Tensor, x: Tensor) -> Tensor:
        if self.bias is not None or self.weight.dtype != torch.float32:
            return residual.add_(self(x))
        return residual.addmm_(x, self.weight.t())


class OneDnnLinear:
    """By oneDNN."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.bias, self.dtype = bias, weight.dtype
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _PACKED_FOR_ROWS)

    def __call__(self, x: Tensor) -> Tensor:
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x.to(self.dtype), self.weight, self.bias, "none", [], "")
        return out.float()

    def add_to(self, residual: Tensor, x: Tensor) -> Tensor:
        if self.dtype != torch.float32:
            return residual.add_(self(x))
        out: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, residual, self.weight, self.bias, "add")
        return out


def make_linear(weight: Tensor, bias: Tensor | None = None, *, bf16: bool = False) -> Linear:
    """`weight` is `[out, in]`, `bias` `[out]`, both float32; `bf16` multiplies in bfloat16."""
    if bf16:
        weight, bias = weight.bfloat16(), None if bias is None else bias.bfloat16()
    supported = _ONEDNN is not None and (not bf16 or torch.ops.mkldnn._is_mkldnn_bf16_supported())
    onednn = supported and weight.numel() >= ONEDNN_FROM
    return OneDnnLinear(weight, bias) if onednn else PlainLinear(weight, bias)


@cache
def bf16_gain() -> float:
    """How many times as fast as in float32 this processor multiplies in bfloat16: measured, in some milliseconds.

    Above 1 only where it has instructions for it (AVX-512 BF16, AMX); others imitate it, many times as slow.

    Other work on the machine hardly shows: the two take turns, of each the best counts, in processor time, and of one
    thread, for several would wait for one another and count that, too.
    """
    x, weight = torch.randn(_PACKED_FOR_ROWS, 576), torch.randn(1536, 576)
    best = [math.inf, math.inf]
    with torch.inference_mode(), torch_threads(1):
        products = [make_linear(weight, bf16=bf16) for bf16 in (False, True)]
        for _ in range(_TURNS):
            for which, product in enumerate(products):
                began = time.thread_time()
                product(x)
                best[which] = min(best[which], time.thread_time() - began)
    return best[0] / max(best[1], 1e-9)
