"""The forward pass of a decoder, apart from which row attends to what."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from selftrain.engines.packed.architecture import Architecture
from selftrain.engines.packed.attention_pass import AttentionCache, AttentionPass
from selftrain.engines.packed.compiled_attention import CompiledPass
from selftrain.engines.packed.kv_cache import KVCache
from selftrain.engines.packed.linear import Linear
from selftrain.engines.packed.slot_layout import SlotLayout
from selftrain.engines.packed.torch_attention import TorchPass, soft_cap
from selftrain.engines.packed.weights import Layer, pack

#: `AttentionPass.attend`, for all rows of the pass.
Attend = Callable[[int, Tensor], Tensor]


class Decoder:
    """Rows are tokens of any texts: only `attend` knows which belong together.

    An RMS norm divides a row by its root mean square. Here a row is divided by its length; the difference, the square
    root of `hidden`, is a factor of the weights that follow.
    """

    def __init__(self, model: Any, architecture: Architecture, *, compiled: bool, bf16: bool = False) -> None:
        self.architecture, self.compiled = architecture, compiled
        self.weights = pack(model, architecture, bf16=bf16)
        # sqrt(sum of squares + hidden * eps) is a hypotenuse.
        self._floor = torch.tensor((self.weights.embedding.shape[1] * architecture.eps) ** 0.5)
        #: Keys and values of the text that prompts start with, by its tokens; see `sequence_group.read_prompts`.
        self.starts: dict[tuple[int, ...], KVCache] = {}
        self._rotations = {kind: torch.empty(0) for kind in architecture.windows}

    def with_architecture(self, architecture: Architecture) -> Decoder:
        """The same weights, where architectures differ in their windows alone."""
        found = copy(self)
        found.architecture, found.starts = architecture, {}
        return found

    def attention_pass(self, layout: SlotLayout, cache: AttentionCache, first_row: int = 0) -> AttentionPass:
        """
        Args:
            first_row: index of the layout's first row among all rows of the pass.
        """
        pass_class = CompiledPass if self.compiled else TorchPass
        return pass_class(self.architecture, layout, cache, first_row)

    def hidden_states(self, token_ids: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """`[rows]` ids and positions to `[rows, hidden]` states, before the last norm."""
        rotations = {kind: self._rotations_at(kind, positions) for kind in self._rotations}
        x = self.weights.embedding[token_ids]
        if self.architecture.embedding_scale != 1.0:
            x *= self.architecture.embedding_scale
        for number, layer in enumerate(self.weights.layers):
            after_attention, after_mlp = layer.out_norms or (None, None)
            qkv = self._rotated(layer, layer.qkv(self._unit_length(x)), rotations[layer.layer_type])
            x = self._add(x, layer.attention_out, attend(number, qkv), after_attention)
            x = self._add(x, layer.down, self._gated(layer.gate_up(self._unit_length(x))), after_mlp)
        return x

    def logits(self, hidden: Tensor) -> Tensor:
        """`[rows, hidden]` states to `[rows, vocabulary]`, float32."""
        logits = self.weights.head(self._unit_length(hidden).mul_(self.weights.norm))
        cap = self.architecture.logit_softcap
        return logits if cap is None else soft_cap(logits, cap)

    def _rotations_at(self, layer_type: str, positions: Tensor) -> Tensor:
        """Factors of queries, key and value at each position; `[rows, group + 2, head_dim / 2]`, complex.

        Those of queries include their scale; those of values are one, since three separate products take longer.
        """
        known, needed = self._rotations[layer_type], int(positions.max()) + 1
        if len(known) < needed:
            architecture = self.architecture
            angles = torch.arange(2 * needed).float()[:, None] * architecture.inv_freq[layer_type]
            rotation = torch.complex(angles.cos(), angles.sin())
            queries = [rotation * architecture.query_scale] * architecture.group
            known = torch.stack((*queries, rotation, torch.ones_like(rotation)), dim=1)
            self._rotations[layer_type] = known
        return known.index_select(0, positions)

    def _rotated(self, layer: Layer, qkv: Tensor, rotation: Tensor) -> Tensor:
        architecture = self.architecture
        qkv = qkv.view(len(qkv), architecture.kv_heads, architecture.group + 2, architecture.head_dim)
        if layer.qk_norm is not None:
            qk = qkv[:, :, :-1]
            torch.mul(F.rms_norm(qk, (architecture.head_dim,), None, architecture.eps), layer.qk_norm, out=qk)
        pairs = torch.view_as_complex(qkv.view(*qkv.shape[:3], -1, 2))
        return torch.view_as_real(pairs.mul_(rotation[:, None])).flatten(-2)

    def _unit_length(self, x: Tensor) -> Tensor:
        """Rows of length 1, or shorter where they are close to zero."""
        return x / torch.hypot(torch.linalg.vector_norm(x, dim=-1, keepdim=True), self._floor)

    def _add(self, x: Tensor, linear: Linear, y: Tensor, norm: Tensor | None) -> Tensor:
        return linear.add_to(x, y) if norm is None else x.addcmul_(self._unit_length(linear(y)), norm)

    def _gated(self, gate_up: Tensor) -> Tensor:
        gate, up = gate_up.chunk(2, dim=-1)
        silu = self.architecture.activation == "silu"
        return (F.silu(gate) if silu else F.gelu(gate, approximate="tanh")).mul_(up)
