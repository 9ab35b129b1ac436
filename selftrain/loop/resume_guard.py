"""What a run is made of, in a form that tells whether it is still the same when the run is gone on with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any

from selftrain.errors import RunError
from selftrain.models.adapter import base_model_of
from selftrain.problems.splits import DataSplits
from selftrain.storage import AnswerCache, Record
from selftrain.types import Problem

#: Of a longer file only so many bytes at its ends are read: weights can be larger than a disk is fast.
_ENDS = 1 << 20


def inputs_of(
    command: str, parts: DataSplits, models: Mapping[str, str], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """JSON: the command, every setting, and fingerprints of problems and models."""
    return {
        "command": command,
        "settings": settings,
        "problems": {name: _of_problems(getattr(parts, name)) for name in ("train", "validation", "evaluation")},
        "models": {name: _of_model(path) for name, path in models.items()},
    }


def open_record(
    path: str | Path, inputs: Mapping[str, Any], answer_cache: AnswerCache, resumable: Set[str] | None
) -> Record:
    """
    Args:
        resumable: settings that may differ from those the run was begun with; None begins a run.

    Raises:
        RunError: it cannot be written, or what is to be resumed was made of something else.
    """
    # As they will be read back.
    inputs = json.loads(json.dumps(inputs))
    if resumable is None:
        return Record.create(path, inputs, answer_cache)
    record = Record.resume(path, answer_cache)
    try:
        differences = [*_differences(record.run_metadata, inputs, resumable)]
        if differences:
            raise RunError(
                f"{path} was begun with something else: {'; '.join(differences)}",
                "what was done and what is to come would not be one run",
                "resume it as it was, or begin another",
            )
    except BaseException:
        record.__exit__(None, None, None)
        raise
    return record


def _differences(then: Mapping[str, Any], now: Mapping[str, Any], resumable: Set[str]) -> Iterable[str]:
    for name in sorted({*then["settings"], *now["settings"]} - resumable):
        before, after = then["settings"].get(name), now["settings"].get(name)
        if before != after:
            yield f"{name} was {before!r} and is {after!r}"
    for kind in ("problems", "models"):
        for name in sorted({*then[kind], *now[kind]}):
            if then[kind].get(name) != now[kind].get(name):
                yield f"the {kind} of {name!r} are others" if kind == "problems" else f"the model {name!r} is another"


def _of_problems(problems: Iterable[Problem]) -> str:
    digest = hashlib.sha256()
    for problem in problems:
        row = [problem.id, problem.question, problem.reference, problem.solution]
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()


def _of_model(path: str) -> str:
    """Of a local folder, by its files; a hub id stands for itself, with its revision among the settings.

    An adapter's folder is an adapter and the model that it belongs to.
    """
    folder, base = Path(path), base_model_of(path)[0]
    if not folder.is_dir():
        return path
    digest = hashlib.sha256(b"" if base == path else _of_model(base).encode())
    for file in sorted(one for one in folder.iterdir() if one.is_file()):
        size = file.stat().st_size
        digest.update(f"{file.name} {size}\n".encode())
        with file.open("rb") as content:
            digest.update(content.read(_ENDS))
            content.seek(max(0, size - _ENDS))
            digest.update(content.read(_ENDS))
    return digest.hexdigest()
