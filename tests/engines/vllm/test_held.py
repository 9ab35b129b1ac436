"""Tensors compared where vLLM keeps them: as they were sent, joined, padded, or packed into a layer that multiplies."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from selftrain.engines.vllm.held import HeldTensors, Sums
from selftrain.engines.vllm.in_worker import held
from selftrain.models.loading import load_model
from selftrain.models.seeds import seed_model

JOINED = {"qkv_proj": ["q_proj", "k_proj", "v_proj"], "gate_up_proj": ["gate_proj", "up_proj"]}
BIAS = "model.layers.0.self_attn.k_proj.bias"
MATRIX = "model.layers.1.mlp.up_proj.weight"


class Tree(torch.nn.Module):
    """Modules and parameters by dotted names, in the layout of vLLM's models; `packed` as on a CPU."""

    packed_modules_mapping = JOINED

    def __init__(self, tensors: dict[str, Tensor], *, packed: bool) -> None:
        super().__init__()
        parts = {part: (whole, parts) for whole, parts in JOINED.items() for part in parts}
        for name in tensors:
            *above, own, kind = name.split(".")
            whole, names = parts.get(own, (own, [own]))
            value = torch.cat([tensors[".".join([*above, one, kind])] for one in names]).clone()
            layer = self.layer([*above, whole])
            if own in ("embed_tokens", "lm_head"):
                layer.org_vocab_size, value = len(value), torch.cat([value, torch.zeros(5, value.shape[1])])
            elif packed and value.dim() == 2:
                layer.input_size_per_partition, layer.cpu_linear = value.shape[1], value.t().contiguous()
                layer.quant_method = SimpleNamespace(apply=lambda layer, x: x @ layer.cpu_linear)
                value = torch.empty(0)
            layer.register_parameter(kind, torch.nn.Parameter(value, requires_grad=False))

    def layer(self, path: list[str]) -> Any:
        at: torch.nn.Module = self
        for one in path:
            if not hasattr(at, one):
                at.add_module(one, torch.nn.Module())
            at = getattr(at, one)
        return at


def sums(tensors: dict[str, Tensor], shapes: dict[str, list[int]], *, packed: bool = False) -> list[Sums]:
    model = Tree(tensors, packed=packed)
    return [held(SimpleNamespace(get_model=lambda: model, model_config=SimpleNamespace(dtype=torch.float32)), shapes)]


def first(name: str = "qwen2", *, packed: bool = False) -> tuple[HeldTensors, dict[str, Tensor]]:
    """After a start, with what vLLM was given."""
    model = load_model(str(seed_model(name)), device="cpu").model
    tensors, compared = dict(model.state_dict()), HeldTensors(model, "float32")
    is_right, words = compared.compare(sums(tensors, compared.shapes(), packed=packed))
    assert is_right and words == f"{len(compared.shapes())} of {len(compared.shapes())} tensors are compared and equal"
    return compared, tensors


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["llama", "qwen2", "gemma2"])
def test_every_tensor_is_compared_whether_joined_padded_or_packed(name: str, packed: bool) -> None:
    compared, tensors = first(name, packed=packed)
    assert set(tensors) == set(compared.shapes())


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", [BIAS, MATRIX, "model.embed_tokens.weight", "model.norm.weight"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda one: 1.001 * one,
        lambda one: one.flip(0),
        torch.zeros_like,
        lambda one: torch.where(torch.arange(len(one)).reshape(-1, *[1] * (one.dim() - 1)) == 3, torch.nan, one),
    ],
)
def test_a_single_damaged_tensor_is_named(damage: Callable[[Tensor], Tensor], name: str, packed: bool) -> None:
    compared, tensors = first(packed=packed)
    found = sums({**tensors, name: damage(tensors[name])}, compared.shapes(), packed=packed)
    is_right, words = compared.compare(found)
    assert (
        not is_right
        and words.startswith("1 tensors are not the trainer's" if "embed" not in name else "")
        and name in words
    )
    assert compared.compare(sums(tensors, compared.shapes(), packed=packed))[0]


def test_what_a_start_keeps_otherwise_is_not_compared_and_what_is_gone_is_noticed() -> None:
    model = load_model(str(seed_model("qwen2")), device="cpu").model
    tensors, compared = dict(model.state_dict()), HeldTensors(model, "float32")
    shapes, square = compared.shapes(), "model.layers.0.self_attn.o_proj.weight"
    turned = {**tensors, square: tensors[square].t()}
    is_right, words = compared.compare(sums(turned, shapes))
    assert is_right and words == f"{len(shapes) - 1} of {len(shapes)} tensors are compared and equal"
    assert compared.compare(sums(tensors, shapes))[0]
    (found,) = sums(turned, shapes)
    assert not compared.compare([{**found, BIAS: {}}])[0]


def test_a_worker_with_a_shard_is_compared_in_what_it_has_whole() -> None:
    model = load_model(str(seed_model("qwen2")), device="cpu").model
    tensors, compared = dict(model.state_dict()), HeldTensors(model, "float32")
    halves = {name: one.chunk(2)[0] if "proj" in name else one for name, one in tensors.items()}
    is_right, words = compared.compare(sums(halves, compared.shapes()))
    whole = sum("proj" not in name for name in compared.shapes())
    assert is_right and words == f"{whole} of {len(tensors)} tensors are compared and equal"
