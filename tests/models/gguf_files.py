"""Seed models as GGUF files, written as llama.cpp's own converter writes such models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from selftrain.models.seeds import seed_model

gguf = pytest.importorskip("gguf", reason="GGUF files are read and written through gguf: pip install 'selftrain[gguf]'")


def write_gguf(seed: str, file: Path, *, q8: bool = False, folder: Path | None = None, **further: float) -> Path:
    """
    Args:
        seed: 'llama' or 'qwen2', which ties its head.
        folder: of a model like the seed; by default the seed itself.
        q8: matrices in blocks of 8 bits (Q8_0), not in float32.
        further: metadata under `general.sampling`, and ids of tokens by the name of `tokenizer.ggml`.
    """
    folder = folder or Path(seed_model(seed))
    config, tokenizer = (json.loads((folder / name).read_text()) for name in ("config.json", "tokenizer.json"))
    writer = gguf.GGUFWriter(str(file), seed)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    _add_tokenizer(writer, config, tokenizer)
    for name, value in further.items():
        if name.endswith("_token_id"):
            writer.add_uint32(f"tokenizer.ggml.{name}", int(value))
        else:
            writer.add_float32(f"general.sampling.{name}", value)
    architecture = {"llama": gguf.MODEL_ARCH.LLAMA, "qwen2": gguf.MODEL_ARCH.QWEN2}[seed]
    names = gguf.get_tensor_name_map(architecture, config["num_hidden_layers"])
    for name, tensor in load_file(folder / "model.safetensors").items():
        value = tensor.float().numpy()
        if seed == "llama" and ("q_proj" in name or "k_proj" in name):
            # llama.cpp has the halves of a rotated pair side by side.
            heads = config["num_attention_heads" if "q_proj" in name else "num_key_value_heads"]
            value = value.reshape(heads, 2, -1, value.shape[1]).swapaxes(1, 2).reshape(value.shape)
        at = names.get_name(name, (".weight", ".bias"))
        if q8 and value.ndim == 2:
            packed = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(at, gguf.quantize(value, packed), raw_dtype=packed)
        else:
            writer.add_tensor(at, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _add_tokenizer(writer: Any, config: dict[str, Any], tokenizer: dict[str, Any]) -> None:
    ids, special = tokenizer["model"]["vocab"], {token["id"] for token in tokenizer["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(sorted(ids, key=ids.get))
    writer.add_token_types([3 if number in special else 1 for number in range(len(ids))])
    writer.add_token_merges([" ".join(merge) for merge in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_add_bos_token(False)


def as_float32(source: Path, file: Path) -> Path:
    """The same model with every tensor in float32, so that whoever computes it rounds little."""
    reader = gguf.GGUFReader(str(source))
    writer = gguf.GGUFWriter(str(file), reader.get_field("general.architecture").contents())
    own = ("general.architecture", "general.file_type", "general.quantization_version")
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name not in own:
            first, last = field.types[0], field.types[-1]
            writer.add_key_value(name, field.contents(), first, last if first == gguf.GGUFValueType.ARRAY else None)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, gguf.dequantize(tensor.data, tensor.tensor_type))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file
