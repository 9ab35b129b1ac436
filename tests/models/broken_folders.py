"""Model folders that are broken in one way each."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from selftrain.models.seeds import seed_model

#: Breaks the folder that it is given.
Breakage = Callable[[Path], object]

FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "model.safetensors")
_NO_JSON = {
    "empty": b"",
    "a list": b"[]",
    "null": b"null",
    "deep": b"[" * 100_000,
    "a number": b"5",
    "bytes": b"\xff\x00" * 99,
}
WEIGHTS = "model.safetensors"


def write(name: str, data: bytes | str) -> Breakage:
    return lambda folder: (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def edit(name: str, change: Callable[[dict[str, Any]], object]) -> Breakage:
    """Changes a file of JSON."""

    def broken(folder: Path) -> None:
        value = json.loads((folder / name).read_text())
        change(value)
        (folder / name).write_text(json.dumps(value))

    return broken


def config(**changes: object) -> Breakage:
    return edit("config.json", lambda value: value.update(changes))


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Breakage:
    def broken(folder: Path) -> None:
        found = load_file(folder / WEIGHTS)
        change(found)
        save_file(found, folder / WEIGHTS, metadata={"format": "pt"})

    return broken


def cut(name: str, share: float = 0.5) -> Breakage:
    return lambda folder: os.truncate(folder / name, int((folder / name).stat().st_size * share))


def in_its_place(name: str, make: Callable[[Path], object]) -> Breakage:
    """Something else than a file."""

    def broken(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return broken


def flipped(name: str, seed: int, count: int, within: int | None = None) -> Breakage:
    def broken(folder: Path) -> None:
        data, rng = bytearray((folder / name).read_bytes()), random.Random(seed)
        for _ in range(count):
            data[rng.randrange(min(len(data), within or len(data)))] = rng.randrange(256)
        (folder / name).write_bytes(data)

    return broken


def _poison(value: float) -> Breakage:
    def change(found: dict[str, torch.Tensor]) -> None:
        list(found.values())[3].view(-1)[7] = value

    return tensors(change)


def _index(places: object) -> Breakage:
    def broken(folder: Path) -> None:
        (folder / WEIGHTS).unlink()
        (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))

    return broken


def _pickle(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "pytorch_model.bin").write_bytes(b'cos\nsystem\n(S"touch PWNED"\ntR.')


def _remote_code(folder: Path) -> None:
    config(
        auto_map=dict.fromkeys(("AutoConfig", "AutoModelForCausalLM", "AutoTokenizer"), "evil.E"), model_type="evil"
    )(folder)
    (folder / "evil.py").write_text("open('PWNED', 'w')")


def _sharded(folder: Path) -> None:
    """Two files, one of which never came."""
    found = load_file(folder / WEIGHTS)
    names = sorted(found)
    (folder / WEIGHTS).unlink()
    first, second = (f"model-0000{i}-of-00002.safetensors" for i in (1, 2))
    save_file({name: found[name] for name in names[:5]}, folder / first, metadata={"format": "pt"})
    places = {name: first if name in names[:5] else second for name in names}
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def _with_end(config: dict[str, Any], value: object) -> None:
    config["eos_token_id"] = value


def _pop(count: int) -> Breakage:
    return tensors(lambda found: [found.pop(name) for name in sorted(found)[:count]])


#: By name; none of these may be loaded.
BROKEN: Mapping[str, Breakage] = {
    **{f"{name} is {how}": write(name, data) for name in FILES for how, data in _NO_JSON.items()},
    **{f"{name} is cut": cut(name) for name in FILES},
    **{f"{name} is a folder": in_its_place(name, Path.mkdir) for name in FILES},
    **{f"{name} is a pipe": in_its_place(name, os.mkfifo) for name in FILES},
    **{f"{name} leads to a device": in_its_place(name, lambda p: p.symlink_to("/dev/zero")) for name in FILES},
    **{f"{name} leads nowhere": in_its_place(name, lambda p: p.symlink_to("gone")) for name in FILES},
    **{f"{name} is missing": in_its_place(name, lambda path: None) for name in (FILES[0], FILES[1], WEIGHTS)},
    **{f"the weights lack {count} tensors": _pop(count) for count in (1, 3)},
    **{f"a weight is {value}": _poison(value) for value in (float("nan"), float("inf"), -float("inf"), 1e30)},
    "the weights are cut by a little": cut(WEIGHTS, 0.99999),
    "the header has a length of 2**62": lambda folder: (folder / WEIGHTS).open("r+b").write(struct.pack("<Q", 2**62)),
    "a tensor has another shape": tensors(lambda found: found.update({max(found): found[max(found)][:-1].clone()})),
    "a tensor has another name": tensors(lambda found: found.update({"other": found.pop(min(found))})),
    "a shard never came": _sharded,
    "the index leads outside": _index({"a": "../../../etc/passwd"}),
    "the index names a pickle": _index({"a": "evil.bin"}),
    "the index is empty": _index({}),
    "the index is a list": _index([]),
    "the index names a number": _index({"a": 5}),
    "the config names a pickle": config(transformers_weights="evil.bin"),
    "the weights are a pickle": _pickle,
    "the code is remote": _remote_code,
    "the folder is empty": lambda folder: (shutil.rmtree(folder), folder.mkdir()),
    "the folder is a file": lambda folder: (shutil.rmtree(folder), folder.write_text("x")),
    **{
        f"{name} is {value!r}": config(**{name: value})
        for name, values in {
            "hidden_size": (-1, 0, 10**9, "x", None, 64, 1.5),
            "num_hidden_layers": (0, 1, 3, 10**6, -1, "x"),
            "num_attention_heads": (0, 7, 8, "x"),
            "num_key_value_heads": (0, 3, -1),
            "vocab_size": (1, 10**10, -5, "x"),
            "intermediate_size": (0, 10**8, 7),
            "model_type": ("nope", None, 5, ["llama"], "bert"),
            "hidden_act": ("nope", "__import__", 5),
            "rms_norm_eps": (float("nan"), "x"),
            "attention_bias": (True,),
            "tie_word_embeddings": ("x",),
            "head_dim": (1, 0),
        }.items()
        for value in values
    },
    **{
        f"the end token is {value!r}": edit("generation_config.json", partial(_with_end, value=value))
        for value in (10**9, -1, "x", [[1]], [None], {"a": 1}, 1.5, True)
    },
    "the longest text is a list": edit("tokenizer_config.json", lambda t: t.update(model_max_length=[1])),
    "the vocabulary is empty": edit("tokenizer.json", lambda t: t["model"].update(vocab={})),
    "the tokenizer has no model": edit("tokenizer.json", lambda t: t.pop("model")),
    "an added token has no embedding": edit(
        "tokenizer.json",
        lambda t: t["added_tokens"].append(
            dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
            | {"id": 10**6, "content": "<far>", "special": True}
        ),
    ),
    "ids lie beyond the embedding": edit(
        "tokenizer.json",
        lambda t: t["model"]["vocab"].update({k: v + 10**6 for k, v in list(t["model"]["vocab"].items())[-20:]}),
    ),
}  # fmt: skip


def broken_folder(name: str, at: Path, model: str = "llama") -> Path:
    """A copy of a seed model, broken in the way of `BROKEN` with that name."""
    if at.is_file():
        at.unlink()
    shutil.rmtree(at, ignore_errors=True)
    shutil.copytree(seed_model(model), at)
    BROKEN[name](at)
    return at
