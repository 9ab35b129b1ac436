"""A model's weights, rearranged for few and large matrix products."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from selftrain.engines.packed.architecture import Architecture
from selftrain.engines.packed.linear import Linear, make_linear
from selftrain.models.merging import merged_weight


@dataclass(frozen=True)
class Layer:
    """One decoder layer. Queries, keys and values are one product, as are the MLP's gate and up projections.

    The norms in front of these products are folded into their weights, together with the square root of `hidden`; see
    `Decoder`.
    """

    layer_type: str
    #: `hidden` to `kv_heads` times (the queries of the group, the key, the value), `head_dim` each.
    qkv: Linear
    #: `[group + 1, head_dim]`: norms of queries and key, in models that have them.
    qk_norm: Tensor | None
    attention_out: Linear
    gate_up: Linear
    down: Linear
    #: `[hidden]`: norms after attention and after the MLP, in models that have them, times the square root of `hidden`.
    out_norms: tuple[Tensor, Tensor] | None


@dataclass(frozen=True)
class Weights:
    embedding: Tensor
    layers: tuple[Layer, ...]
    #: The last norm, times the square root of `hidden`.
    norm: Tensor
    head: Linear


def fingerprint(model: Any) -> tuple[object, ...]:
    """Equal as long as no weight has changed.

    Identity and version of each tensor, and the sum of its bits, which also sees writes that bypass torch's version
    counters (`.data`, numpy, shared memory). Reads every weight once: less than one decoding step.
    """
    return tuple((p.data_ptr(), p._version, p.shape, _sum_of_bits(p)) for p in model.parameters())


def _sum_of_bits(parameter: Tensor) -> int:
    flat = parameter.detach().contiguous().view(-1)
    # Two floats as one integer, which needs no conversion; integer sums wrap around and lose nothing.
    even = len(flat) // 2 * 2
    odd_one = 0 if even == len(flat) else int(flat[-1].view(torch.int32))
    return int(flat[:even].view(torch.int64).sum()) + odd_one


@torch.inference_mode()
def pack(model: Any, architecture: Architecture, *, bf16: bool) -> Weights:
    """The current weights, adapters merged: most are copies; embedding, outputs and head are shared where possible."""

    def norm(module: Any) -> Tensor:
        weight: Tensor = module.weight.detach()
        return (weight + architecture.norm_offset) * math.sqrt(len(weight))

    def layer(layer_type: str, module: Any) -> Layer:
        attention, mlp, names = module.self_attn, module.mlp, dict(module.named_children())
        four_norms = "pre_feedforward_layernorm" in names
        before_mlp = norm(module.pre_feedforward_layernorm if four_norms else module.post_attention_layernorm)
        out_norms = None
        if four_norms:
            out_norms = norm(module.post_attention_layernorm), norm(module.post_feedforward_layernorm)
        gate_up = torch.cat((merged_weight(mlp.gate_proj), merged_weight(mlp.up_proj)))
        return Layer(
            layer_type=layer_type,
            qkv=_qkv(attention, norm(module.input_layernorm), architecture, bf16=bf16),
            qk_norm=_qk_norm(attention, architecture) if "q_norm" in dict(attention.named_children()) else None,
            attention_out=make_linear(merged_weight(attention.o_proj), bf16=bf16),
            gate_up=make_linear(gate_up * before_mlp, bf16=bf16),
            down=make_linear(merged_weight(mlp.down_proj), bf16=bf16),
            out_norms=out_norms,
        )

    return Weights(
        embedding=model.model.embed_tokens.weight.detach(),
        layers=tuple(layer(*pair) for pair in zip(architecture.layer_types, model.model.layers, strict=True)),
        norm=norm(model.model.norm),
        head=make_linear(merged_weight(model.lm_head), bf16=bf16),
    )


def _rotary_pairs(head_dim: int) -> Tensor:
    """An order of a head's dimensions in which those that rotate together are neighbours, as complex numbers."""
    return torch.arange(head_dim).view(2, -1).t().reshape(-1)


def _qkv(attention: Any, norm: Tensor, architecture: Architecture, *, bf16: bool) -> Linear:
    dim, order = architecture.head_dim, _rotary_pairs(architecture.head_dim)

    def by_group(part_of: Callable[[Any], Tensor]) -> Tensor:
        """Rows as `[kv_heads * (group + 2) * head_dim, ...]`."""
        parts = (part_of(getattr(attention, f"{part}_proj")) for part in "qkv")
        q, k, v = (part.unflatten(0, (architecture.kv_heads, -1, dim)) for part in parts)
        return torch.cat((q[:, :, order], k[:, :, order], v), dim=1).flatten(0, 2)

    bias = None if attention.q_proj.bias is None else by_group(lambda linear: linear.bias)
    return make_linear(by_group(merged_weight) * norm, bias, bf16=bf16)


def _qk_norm(attention: Any, architecture: Architecture) -> Tensor:
    order, offset = _rotary_pairs(architecture.head_dim), architecture.norm_offset
    q, k = attention.q_norm.weight[order] + offset, attention.k_norm.weight[order] + offset
    return torch.cat((q.expand(architecture.group, -1), k[None]))
