"""Random damage to bytes, to JSON and to files. All of it follows from the generator that is given."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: What a value is replaced with.
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 5, 2**31, 2**63, 10**30, 0.5, -1.5, 1e300, float("nan"), float("inf"), "", "x", "5",
    "\x00", "\x1b]0;x\x07", "\u202e", "../../etc/passwd", "__import__('os')", "x" * 5000, [], [1], ["x"], [None], [[]],
    {}, {"a": 1}, {"a": {"a": []}},
)  # fmt: skip


def damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data) + 1)
    length = rng.choice((1, 2, 8, 100, len(data) // 3 + 1))
    how = rng.randrange(8)
    if how == 0:
        return data[:place]
    if how == 1:
        return data[:place] + rng.randbytes(length) + data[place:]
    if how == 2:
        return data[:place] + data[place + length :]
    if how == 3:
        return data[:place] + bytes(length) + data[place + length :]
    if how == 4:
        return data[: place + length] + data[place:]
    if how == 5:
        noise = rng.randbytes(500)
        return rng.choice((b"", b"[]", b"null", b"{}", b"5", b"[" * 50_000, b"\xff\xfe", b"\n" * 99, noise))
    changed = bytearray(data)
    for _ in range(rng.choice((1, 5, 50))) if data else ():
        # Headers and footers are where a byte counts most.
        end = rng.choice((len(data), min(len(data), 400)))
        changed[rng.choice((rng.randrange(end), len(data) - 1 - rng.randrange(end)))] = rng.randrange(256)
    return bytes(changed)


def damaged_json(value: Any, rng: random.Random) -> Any:
    """The same with one value in it replaced, removed or renamed."""
    inner = [*value] if isinstance(value, dict) else [*range(len(value))] if isinstance(value, list) else []
    if not inner or rng.random() < 0.15:
        return rng.choice(_VALUES)
    key = rng.choice(inner)
    changed = value.copy()
    if rng.random() < 0.15:
        del changed[key]
    elif isinstance(value, dict) and rng.random() < 0.1:
        changed[rng.choice(("", "x", "\x1b[2J", key + key))] = changed.pop(key)
    else:
        changed[key] = damaged_json(value[key], rng)
    return changed


def damaged_json_text(text: str, rng: random.Random) -> str:
    """Of one value, or of lines of them."""
    try:
        return json.dumps(damaged_json(json.loads(text), rng))
    except ValueError:
        lines = text.splitlines()
        number = rng.randrange(len(lines)) if lines else 0
        try:
            lines[number] = json.dumps(damaged_json(json.loads(lines[number]), rng))
        except (ValueError, IndexError):
            return text[: len(text) // 2]
        return "\n".join(lines) + "\n"


def damaged_header(data: bytes, rng: random.Random) -> bytes:
    """A safetensors file whose header says something else."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.dumps(damaged_json(json.loads(data[8 : 8 + length]), rng)).encode()
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


def damage_file(path: Path, rng: random.Random) -> str:
    """Damages a file in one way; says which."""
    how = rng.random()
    if how < 0.15:
        return _replace(path, rng)
    data = path.read_bytes()
    if path.suffix in (".json", ".jsonl") and how < 0.7:
        path.write_text(damaged_json_text(data.decode(errors="replace"), rng), encoding="utf-8", errors="surrogatepass")
        return "other JSON"
    if path.suffix == ".safetensors" and how < 0.5:
        path.write_bytes(damaged_header(data, rng))
        return "another header"
    path.write_bytes(damaged_bytes(data, rng))
    return "other bytes"


def _replace(path: Path, rng: random.Random) -> str:
    """By something that is no file."""
    path.unlink()
    makes: dict[str, Callable[[], object]] = {
        "missing": lambda: None,
        "a folder": path.mkdir,
        "a pipe": lambda: os.mkfifo(path),
        "a link to nowhere": lambda: path.symlink_to("gone"),
        "a link to itself": lambda: path.symlink_to(path.name),
        "a device": lambda: path.symlink_to("/dev/zero"),
        "a link to the folder": lambda: path.symlink_to("."),
    }
    name = rng.choice([*makes])
    makes[name]()
    return name


def fresh_copy(source: Path, target: Path) -> Path:
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    elif os.path.lexists(target):
        target.unlink()
    shutil.copytree(source, target, symlinks=True)
    return target
