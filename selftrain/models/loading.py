"""Loads a causal language model and its tokenizer from a local folder or hub id, through `from_pretrained`."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import safe_open

from selftrain.errors import ModelError
from selftrain.models.adapter import ADAPTER_CONFIG, base_model_of
from selftrain.models.check_files import ADAPTER_WEIGHTS, CONFIG, INDEX, check_files, check_index
from selftrain.models.check_loaded import check_forward, check_loaded, end_ids


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
    with _loading(name_or_path):
        config = transformers.AutoConfig.from_pretrained(base, revision=base_revision, trust_remote_code=False)
        with torch.device("meta"):
            model = transformers.AutoModelForCausalLM.from_config(config, trust_remote_code=False)
            return int(model.num_parameters())


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
        ModelError: no such folder or hub id, a file that is not whole, weights that are missing or not finite, or more
            tokens than embeddings.
    """
    _check_path(name_or_path)
    device = resolve_device(device)
    options = _nf4_options(device) if load_in_4bit else {}
    base, base_revision = base_model_of(name_or_path, revision)
    with no_progress_bars(), _loading(name_or_path):
        _check_hub_index(base, base_revision)
        # Remote code is refused: transformers would else ask on the terminal.
        tokenizer = transformers.AutoTokenizer.from_pretrained(name_or_path, revision=revision, trust_remote_code=False)
        model, info = transformers.AutoModelForCausalLM.from_pretrained(
            base, revision=base_revision, dtype=torch.float32, use_safetensors=True, trust_remote_code=False,
            output_loading_info=True, **options,
        )  # fmt: skip
        model = model if base == name_or_path else _with_adapter(model, name_or_path)
        check_loaded(name_or_path, model, tokenizer, info)
        model = (model if load_in_4bit else model.to(device)).eval()
        check_forward(name_or_path, model)
    return LoadedModel(model, tokenizer, frozenset(end_ids(model)))


@contextmanager
def _loading(name_or_path: str) -> Iterator[None]:
    """
    Raises:
        ModelError: in place of whatever a library raises on files that it cannot read.
    """
    try:
        yield
    except (ModelError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # those of Rust, a panic, are no Exception
        what = (str(error).strip() or type(error).__name__).splitlines()
        raise ModelError(
            f"cannot load {name_or_path!r}: {' '.join(line.strip() for line in what[:2]):.300}",
            "a causal language model needs config.json, weights in safetensors and tokenizer files that fit together",
            "give a folder made by save_pretrained, or a hub id (offline, it has to be in the cache already)",
        ) from error


def _check_hub_index(base: str, revision: str) -> None:
    """Of a folder all files are checked; of the hub the one that could name files in another format."""
    if Path(base).is_dir():
        return
    path = transformers.utils.cached_file(
        base, INDEX, revision=revision, _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False,
    )  # fmt: skip
    if path is not None:
        check_index(Path(base) / INDEX, json.loads(Path(path).read_text(encoding="utf-8")))


def _with_adapter(model: Any, folder: str) -> Any:
    """The base model with the adapter merged into it."""
    if find_spec("peft") is None:
        raise ModelError(
            f"{folder!r} holds an adapter, and peft is not installed",
            "peft is needed to merge it into its base model",
            "pip install 'selftrain[peft]'",
        )
    from peft import PeftModel, get_peft_model_state_dict

    adapted = PeftModel.from_pretrained(model, folder)
    with safe_open(Path(folder) / ADAPTER_WEIGHTS, framework="pt") as file:
        missing = sorted(get_peft_model_state_dict(adapted, save_embedding_layers=False).keys() - set(file.keys()))
    if missing:
        raise ModelError(
            f"{folder!r} lacks {len(missing)} tensors of its adapter, {missing[0]!r} first",
            "they would get random values",
            "save the adapter again",
        )
    return adapted.merge_and_unload()


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
    if path.is_dir() and not any((path / name).exists() for name in (CONFIG, ADAPTER_CONFIG)):
        raise ModelError(
            f"{name_or_path!r} has no config.json",
            "it is a folder, but not one that save_pretrained wrote",
            "give the folder that holds config.json and model.safetensors",
        )
    if path.is_dir():
        check_files(path)
        base = Path(base_model_of(name_or_path)[0])
        if base != path and base.is_dir():
            check_files(base)
    elif path.exists():
        raise ModelError(f"{name_or_path!r} is not a folder", "a model is a folder of files", "give its folder")
    if path.exists() or not (looks_local or (path.parent != Path() and path.parent.exists())):
        return
    folders = [str(p) for p in path.parent.iterdir() if p.is_dir()] if path.parent.exists() else []
    near = difflib.get_close_matches(name_or_path, folders, n=1)
    raise ModelError(
        f"no such model folder: {name_or_path!r}",
        "it is not on this disk, and a hub id has the form owner/name",
        f"did you mean {near[0]!r}?" if near else "check the path",
    )
