"""What the packed engine has to know about a model. What it does not know, it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import Tensor

from selftrain.models.merging import base_name, is_lora_matrix

_ATTENTION = {f"self_attn.{part}_proj.weight" for part in "qkvo"}
_LLAMA = {
    "input_layernorm.weight", "post_attention_layernorm.weight", *_ATTENTION,
    "mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.down_proj.weight",
}  # fmt: skip
_QKV_BIASES = {f"self_attn.{part}_proj.bias" for part in "qkv"}
_QK_NORMS = {"self_attn.q_norm.weight", "self_attn.k_norm.weight"}
_GEMMA = _LLAMA | {"pre_feedforward_layernorm.weight", "post_feedforward_layernorm.weight"}
#: Each class that is known, with the names of all parameters of one of its layers.
KNOWN: dict[type, set[str]] = {
    transformers.LlamaForCausalLM: _LLAMA,
    transformers.Qwen2ForCausalLM: _LLAMA | _QKV_BIASES,
    transformers.Qwen3ForCausalLM: _LLAMA | _QK_NORMS,
    transformers.Gemma2ForCausalLM: _GEMMA,
    transformers.Gemma3ForCausalLM: _GEMMA | _QK_NORMS,
}
_OUTSIDE_LAYERS = {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"}
ACTIVATIONS = ("silu", "gelu_pytorch_tanh")
KINDS = ("full_attention", "sliding_attention")
#: Rotations whose frequencies never change with the length of the text.
ROPE_TYPES = ("default", "linear", "llama3")


class NotPackedError(Exception):
    """Why a model is not for the packed engine; caught where the engine is chosen."""


@dataclass(frozen=True)
class Architecture:
    """A decoder of the Llama family.

    Architecture(heads=4, kv_heads=2, head_dim=32, kinds=("full_attention",) * 4, windows={"full_attention": None},
                 frequencies={"full_attention": tensor of 16}, query_scale=32**-0.5, activation="silu", eps=1e-6)
    """

    heads: int
    kv_heads: int
    head_dim: int
    #: How each layer looks back: one of `KINDS`.
    kinds: tuple[str, ...]
    #: How many tokens a layer of a kind sees, its own among them; None is all.
    windows: Mapping[str, int | None]
    #: Radians a position by which a layer of a kind turns each pair of dimensions; `[head_dim / 2]`.
    frequencies: Mapping[str, Tensor]
    query_scale: float
    activation: str
    eps: float
    #: Gemma norms multiply by 1 + weight.
    norm_offset: float = 0.0
    embedding_scale: float = 1.0
    #: Soft limits of attention scores and of logits.
    score_cap: float | None = None
    logit_cap: float | None = None

    @property
    def group(self) -> int:
        """Query heads that share a key-value head."""
        return self.heads // self.kv_heads


def read_architecture(model: Any) -> Architecture:
    """
    Raises:
        NotPackedError: the model has something that is not known here, and what it is.
    """
    _check_parameters(model)
    config = model.config
    gemma = type(model) in (transformers.Gemma2ForCausalLM, transformers.Gemma3ForCausalLM)
    gemma3 = type(model) is transformers.Gemma3ForCausalLM
    kinds = tuple(getattr(config, "layer_types", None) or [KINDS[0]] * config.num_hidden_layers)
    activation = config.hidden_activation if gemma else config.hidden_act
    score_cap = config.attn_logit_softcapping if gemma else None
    for known, what in (
        (activation in ACTIVATIONS, f"activation {activation!r}"),
        (set(kinds) <= set(KINDS), f"layers of type {sorted(set(kinds) - set(KINDS))}"),
        (not getattr(config, "use_bidirectional_attention", False), "attention in both directions"),
        (not (gemma3 and score_cap), "soft-capped attention scores in Gemma3"),
    ):
        if not known:
            raise NotPackedError(f"it has {what}")
    head_dim = model.model.layers[0].self_attn.head_dim
    return Architecture(
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_dim=head_dim,
        kinds=kinds,
        windows={kind: config.sliding_window if kind == KINDS[1] else None for kind in set(kinds)},
        frequencies={kind: _frequencies(model, kind, head_dim) for kind in set(kinds)},
        query_scale=model.model.layers[0].self_attn.scaling,
        activation=activation,
        eps=config.rms_norm_eps,
        norm_offset=1.0 if gemma else 0.0,
        embedding_scale=model.model.embed_tokens.scalar_embed_scale if gemma else 1.0,
        score_cap=score_cap,
        logit_cap=config.final_logit_softcapping if gemma else None,
    )


def _check_parameters(model: Any) -> None:
    """Quantised weights and parts that came later all show in the names and types of the parameters.

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
            raise NotPackedError(f"{name} is on {parameter.device}, and this engine computes on the CPU")


def _frequencies(model: Any, kind: str, head_dim: int) -> Tensor:
    config, rotary = model.config, model.model.rotary_emb
    own = kind in config.rope_parameters
    settings = config.rope_parameters[kind] if own else config.rope_parameters
    prefix = f"{kind}_" if own else ""
    frequencies: Tensor = getattr(rotary, f"{prefix}inv_freq")
    if settings["rope_type"] not in ROPE_TYPES:
        raise NotPackedError(f"it has rotary positions of type {settings['rope_type']!r}")
    if getattr(rotary, f"{prefix}attention_scaling") != 1.0 or len(frequencies) * 2 != head_dim:
        raise NotPackedError("its rotary positions do not turn every dimension of a head, or scale it")
    return frequencies
