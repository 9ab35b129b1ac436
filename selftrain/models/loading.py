"""Loads a causal language model and its tokenizer from a local folder or hub id, through `from_pretrained`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers

from selftrain.errors import ModelError
from selftrain.models.adapter import ADAPTER_CONFIG, base_model_of


@dataclass(frozen=True)
class LoadedModel:
    """A float32 module, its tokenizer and the ids of its end tokens. A saved adapter is merged into it."""

    model: Any
    tokenizer: Any
    stop_ids: frozenset[int]


def count_parameters(name_or_path: str, revision: str) -> int:
    """Of a model that is not loaded, from its config.

    Raises:
        ModelError: there is no such model, or its config does not tell.
    """
    _check_path(name_or_path)
    base, base_revision = base_model_of(name_or_path, revision)
    try:
        config = transformers.AutoConfig.from_pretrained(base, revision=base_revision)
        with torch.device("meta"):
            return int(transformers.AutoModelForCausalLM.from_config(config).num_parameters())
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise _cannot_load(name_or_path, error) from error


def resolve_device(device: str) -> str:
    """'auto' is CUDA where it is available, else the CPU."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Turns off transformers' progress bars, which would break the run's own."""
    shown = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers.utils.logging.enable_progress_bar()


def load_model(
    name_or_path: str, *, revision: str = "main", device: str = "auto", load_in_4bit: bool = False
) -> LoadedModel:
    """
    Args:
        device: 'auto', 'cpu', 'cuda', 'cuda:1', ...
        load_in_4bit: linear layers in NF4, by bitsandbytes.

    Raises:
        ModelError: no such folder or hub id, no weights in safetensors, or more tokens than embeddings.
    """
    _check_path(name_or_path)
    device = resolve_device(device)
    options = _nf4_options(device) if load_in_4bit else {}
    base, base_revision = base_model_of(name_or_path, revision)
    try:
        with no_progress_bars():
            tokenizer = transformers.AutoTokenizer.from_pretrained(name_or_path, revision=revision)
            model = transformers.AutoModelForCausalLM.from_pretrained(
                base, revision=base_revision, dtype=torch.float32, use_safetensors=True, **options
            )
            model = model if base == name_or_path else _with_adapter(model, name_or_path)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise _cannot_load(name_or_path, error) from error
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise ModelError(
            f"{name_or_path!r}: the tokenizer has {len(tokenizer)} tokens, the model {rows} embeddings",
            "the ids above that have no embedding",
            "use the tokenizer the model was trained with, or resize the embeddings",
        )
    eos = model.generation_config.eos_token_id
    stop = [] if eos is None else [eos] if isinstance(eos, int) else list(eos)
    return LoadedModel((model if load_in_4bit else model.to(device)).eval(), tokenizer, frozenset(stop))


def _cannot_load(name_or_path: str, error: Exception) -> ModelError:
    return ModelError(
        f"cannot load {name_or_path!r}: {str(error).strip().splitlines()[0]}",
        "a causal language model needs config.json, weights in safetensors and tokenizer files",
        "give a folder made by save_pretrained, or a hub id (offline, it has to be in the cache already)",
    )


def _with_adapter(model: Any, folder: str) -> Any:
    """The base model with the adapter merged into it."""
    if find_spec("peft") is None:
        raise ModelError(
            f"{folder!r} holds an adapter, and peft is not installed",
            "peft is needed to merge it into its base model",
            "pip install 'selftrain[peft]'",
        )
    from peft import PeftModel

    return PeftModel.from_pretrained(model, folder).merge_and_unload()


def _nf4_options(device: str) -> dict[str, Any]:
    config = transformers.BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
    )
    return {"quantization_config": config, "device_map": {"": device}}


def _check_path(name_or_path: str) -> None:
    """A missing path would otherwise be taken for a hub id and end in a network error."""
    path = Path(name_or_path)
    # A hub id is at most owner/name; anything else can only be a path.
    looks_local = path.is_absolute() or name_or_path.startswith((".", "~")) or name_or_path.count("/") > 1
    if path.is_dir() and not any((path / name).exists() for name in ("config.json", ADAPTER_CONFIG)):
        raise ModelError(
            f"{name_or_path!r} has no config.json",
            "it is a folder, but not one that save_pretrained wrote",
            "give the folder that holds config.json and model.safetensors",
        )
    if path.exists() or not (looks_local or (path.parent != Path() and path.parent.exists())):
        return
    folders = [str(p) for p in path.parent.iterdir() if p.is_dir()] if path.parent.exists() else []
    near = difflib.get_close_matches(name_or_path, folders, n=1)
    raise ModelError(
        f"no such model folder: {name_or_path!r}",
        "it is not on this disk, and a hub id has the form owner/name",
        f"did you mean {near[0]!r}?" if near else "check the path",
    )
