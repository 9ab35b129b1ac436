"""What the packed engine has to know about a model. What it does not know it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import Tensor

from selftrain.models.merging import base_name, is_lora_matrix

_ATTENTION = {f"self_attn.{part}_proj.weight" for part in "qkvo"}
_MLP = {f"mlp.{part}_proj.weight" for part in ("gate", "up", "down")}
_LLAMA = {"input_layernorm.weight", "post_attention_layernorm.weight", *_ATTENTION, *_MLP}
_QKV_BIASES = {f"self_attn.{part}_proj.bias" for part in "qkv"}
_QK_NORMS = {"self_attn.q_norm.weight", "self_attn.k_norm.weight"}
_GEMMA = _LLAMA | {"pre_feedforward_layernorm.weight", "post_feedforward_layernorm.weight"}
#: The classes that are known, each with the names of all parameters of one of its layers.
KNOWN: dict[type, set[str]] = {
    transformers.LlamaForCausalLM: _LLAMA,
    transformers.Qwen2ForCausalLM: _LLAMA | _QKV_BIASES,
    transformers.Qwen3ForCausalLM: _LLAMA | _QK_NORMS,
    transformers.Gemma2ForCausalLM: _GEMMA,
    transformers.Gemma3ForCausalLM: _GEMMA | _QK_NORMS,
}
_OUTSIDE_LAYERS = {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"}
ACTIVATIONS = ("silu", "gelu_pytorch_tanh")
FULL, SLIDING = LAYER_TYPES = ("full_attention", "sliding_attention")
#: Rotary embeddings whose frequencies do not depend on the length of the text.
ROPE_TYPES = ("default", "linear", "llama3")


class NotPackedError(Exception):
    """Why the packed engine cannot run a model; caught where the engine is selected."""


@dataclass(frozen=True)
class Architecture:
    """A decoder of the Llama family.

    Architecture(heads=4, kv_heads=2, head_dim=32, layer_types=("full_attention",) * 4,
                 windows={"full_attention": None}, inv_freq={"full_attention": tensor of 16}, query_scale=32**-0.5,
                 activation="silu", eps=1e-6)
    """

    heads: int
    kv_heads: int
    head_dim: int
    #: Of each layer, one of `LAYER_TYPES`.
    layer_types: tuple[str, ...]
    #: Tokens that a layer of a type attends to, the newest included; None is all.
    windows: Mapping[str, int | None]
    #: Rotary frequencies of each layer type, radians a position; `[head_dim / 2]`.
    inv_freq: Mapping[str, Tensor]
    query_scale: float
    activation: str
    eps: float
    #: Gemma's norms multiply by 1 + weight.
    norm_offset: float = 0.0
    embedding_scale: float = 1.0
    attention_softcap: float | None = None
    logit_softcap: float | None = None

    @property
    def group(self) -> int:
        """Query heads that share a key-value head."""
        return self.heads // self.kv_heads


def read_architecture(model: Any) -> Architecture:
    """
    Raises:
        NotPackedError: the model has something that is not known here; the message says what.
    """
    _check_parameters(model)
    config = model.config
    gemma = type(model) in (transformers.Gemma2ForCausalLM, transformers.Gemma3ForCausalLM)
    gemma3 = type(model) is transformers.Gemma3ForCausalLM
    layer_types = tuple(getattr(config, "layer_types", None) or [FULL] * config.num_hidden_layers)
    activation = config.hidden_activation if gemma else config.hidden_act
    softcap = config.attn_logit_softcapping if gemma else None
    for known, what in (
        (activation in ACTIVATIONS, f"activation {activation!r}"),
        (set(layer_types) <= set(LAYER_TYPES), f"layers of type {sorted(set(layer_types) - set(LAYER_TYPES))}"),
        (not getattr(config, "use_bidirectional_attention", False), "bidirectional attention"),
        (not (gemma3 and softcap), "soft-capped attention scores in Gemma3"),
    ):
        if not known:
            raise NotPackedError(f"it has {what}")
    attention = model.model.layers[0].self_attn
    return Architecture(
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_dim=attention.head_dim,
        layer_types=layer_types,
        windows={kind: config.sliding_window if kind == SLIDING else None for kind in set(layer_types)},
        inv_freq={kind: _inv_freq(model, kind, attention.head_dim) for kind in set(layer_types)},
        query_scale=attention.scaling,
        activation=activation,
        eps=config.rms_norm_eps,
        norm_offset=1.0 if gemma else 0.0,
        embedding_scale=model.model.embed_tokens.scalar_embed_scale if gemma else 1.0,
        attention_softcap=softcap,
        logit_softcap=config.final_logit_softcapping if gemma else None,
    )


def _check_parameters(model: Any) -> None:
    """Quantised weights and modules that were added show in the names and types of the parameters.

    So do adapters; those of linear layers can be merged.
    """
    if type(model) not in KNOWN:
        raise NotPackedError(f"{type(model).__name__} is none of {', '.join(one.__name__ for one in KNOWN)}")
    layers = {
        f"model.layers.{number}.{name}" for number in range(len(model.model.layers)) for name in KNOWN[type(model)]
    }
    found = dict(model.named_parameters(remove_duplicate=False))
    if odd := sorted({base_name(n) for n in found if not is_lora_matrix(n)} ^ (layers | _OUTSIDE_LAYERS)):
        raise NotPackedError(
            f"it differs from a plain {type(model).__name__} in {len(odd)} parameters, {odd[0]} among them"
        )
    for name, parameter in found.items():
        if type(parameter) is not torch.nn.Parameter or parameter.dtype != torch.float32:
            raise NotPackedError(f"{name} is no plain float32 parameter")
        if parameter.device.type != "cpu":
            raise NotPackedError(f"{name} is on {parameter.device}, and the packed engine runs on the CPU only")


def _inv_freq(model: Any, layer_type: str, head_dim: int) -> Tensor:
    config, rotary = model.config, model.model.rotary_emb
    by_type = layer_type in config.rope_parameters
    parameters = config.rope_parameters[layer_type] if by_type else config.rope_parameters
    prefix = f"{layer_type}_" if by_type else ""
    inv_freq: Tensor = getattr(rotary, f"{prefix}inv_freq")
    if parameters["rope_type"] not in ROPE_TYPES:
        raise NotPackedError(f"it has rotary embeddings of type {parameters['rope_type']!r}")
    if getattr(rotary, f"{prefix}attention_scaling") != 1.0 or len(inv_freq) * 2 != head_dim:
        raise NotPackedError("its rotary embeddings rotate only a part of each head, or scale it")
    return inv_freq
