"""The forward pass of a decoder, apart from what attends to what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from selftrain.engines.packed.architecture import Architecture
from selftrain.engines.packed.attention import Pass, soft_cap
from selftrain.engines.packed.compiled_attention import CompiledPass
from selftrain.engines.packed.linear import Linear
from selftrain.engines.packed.weights import Layer, pack

#: From a layer's number and the rows' turned queries, keys and values, `[rows, kv_heads, group + 2, head_dim]`, to
#: what the rows take from attention, `[rows, heads * head_dim]`.
Attend = Callable[[int, Tensor], Tensor]


class Decoder:
    """Rows are tokens, of whatever texts: nothing but `attend` knows which belong together.

    A norm divides a row by its root mean square; what is left over from dividing by the root of its sum of squares
    instead, the square root of `hidden`, stands in the weights that follow.
    """

    def __init__(self, model: Any, architecture: Architecture, *, compiled: bool, bf16: bool = False) -> None:
        self.architecture = architecture
        #: What attention to start over any rows; all that look at one memory are of this kind.
        self.make_pass = CompiledPass if compiled else Pass
        self.weights = pack(model, architecture, bf16=bf16)
        # sqrt(sum of squares + hidden * eps) is the hypotenuse of the root of the one and the root of the other.
        self._floor = torch.tensor((self.weights.embedding.shape[1] * architecture.eps) ** 0.5)
        self._turns = {kind: torch.empty(0) for kind in architecture.windows}

    def hidden(self, token_ids: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """`[rows]` ids and their places in their texts to `[rows, hidden]` states, before the last norm."""
        turns = {kind: self._turns_at(kind, positions) for kind in self._turns}
        x = self.weights.embedding[token_ids]
        if self.architecture.embedding_scale != 1.0:
            x *= self.architecture.embedding_scale
        for number, layer in enumerate(self.weights.layers):
            qkv = self._turned(layer, layer.qkv(self._unit(x)), turns[layer.kind])
            x = self._add(x, layer.attention_out, attend(number, qkv), layer.out_norms and layer.out_norms[0])
            x = self._add(
                x, layer.down, self._gated(layer.gate_up(self._unit(x))), layer.out_norms and layer.out_norms[1]
            )
        return x

    def logits(self, hidden: Tensor) -> Tensor:
        """`[rows, hidden]` states to `[rows, vocabulary]`, float32."""
        logits = self.weights.head(self._unit(hidden).mul_(self.weights.norm))
        return logits if self.architecture.logit_cap is None else soft_cap(logits, self.architecture.logit_cap)

    def _turns_at(self, kind: str, positions: Tensor) -> Tensor:
        """What queries, key and value are multiplied by at each position; `[rows, group + 2, head_dim / 2]`, complex.

        Queries are scaled as well; values are multiplied by one, since three products would take longer.
        """
        known, needed = self._turns[kind], int(positions.max()) + 1
        if len(known) < needed:
            one = self.architecture
            angles = torch.arange(2 * needed).float()[:, None] * one.frequencies[kind]
            turn = torch.complex(angles.cos(), angles.sin())
            known = torch.stack((*[turn * one.query_scale] * one.group, turn, torch.ones_like(turn)), dim=1)
            self._turns[kind] = known
        return known.index_select(0, positions)

    def _turned(self, layer: Layer, qkv: Tensor, turn: Tensor) -> Tensor:
        one = self.architecture
        qkv = qkv.view(len(qkv), one.kv_heads, one.group + 2, one.head_dim)
        if layer.qk_norm is not None:
            qk = qkv[:, :, :-1]
            torch.mul(F.rms_norm(qk, (one.head_dim,), None, one.eps), layer.qk_norm, out=qk)
        pairs = torch.view_as_complex(qkv.view(*qkv.shape[:3], -1, 2))
        return torch.view_as_real(pairs.mul_(turn[:, None])).flatten(-2)

    def _unit(self, x: Tensor) -> Tensor:
        """Rows of length 1, or less where they are all but zero."""
        return x / torch.hypot(torch.linalg.vector_norm(x, dim=-1, keepdim=True), self._floor)

    def _add(self, x: Tensor, linear: Linear, y: Tensor, norm: Tensor | None) -> Tensor:
        return linear.add_to(x, y) if norm is None else x.addcmul_(self._unit(linear(y)), norm)

    def _gated(self, gate_up: Tensor) -> Tensor:
        gate, up = gate_up.chunk(2, dim=-1)
        silu = self.architecture.activation == "silu"
        return (F.silu(gate) if silu else F.gelu(gate, approximate="tanh")).mul_(up)
