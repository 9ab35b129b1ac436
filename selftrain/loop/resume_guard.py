"""Refuses to resume a run with other settings, problems or models than it was started with."""

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

#: Bytes that are read at both ends of a longer file: reading all weights would take too long.
_ENDS = 1 << 20


def inputs_of(
    command: str, splits: DataSplits, models: Mapping[str, str], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """JSON: the command, every setting, and fingerprints of problems and models."""
    return {
        "command": command,
        "settings": settings,
        "problems": {
            "train": _fingerprint(splits.train),
            "validation": _fingerprint(splits.validation),
            "evaluation": _fingerprint(splits.evaluation),
        },
        "models": {name: _model_fingerprint(path) for name, path in models.items()},
    }


def open_record(
    path: str | Path, inputs: Mapping[str, Any], answer_cache: AnswerCache, resumable: Set[str] | None
) -> Record:
    """
    Args:
        resumable: settings that may differ from those the run was started with; None starts a run.

    Raises:
        RunError: it cannot be written, or the run to resume was started with something else.
    """
    # As they are read back.
    inputs = json.loads(json.dumps(inputs))
    if resumable is None:
        return Record.create(path, inputs, answer_cache)
    record = Record.resume(path, answer_cache)
    try:
        differences = [*_differences(record.run_metadata, inputs, resumable)]
        if differences:
            raise RunError(
                f"{path} was started with something else: {'; '.join(differences)}",
                "its finished rounds and the rest would not be one run",
                "resume it as it was, or start another run",
            )
    except BaseException:
        record.__exit__(None, None, None)
        raise
    return record


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], resumable: Set[str]) -> Iterable[str]:
    for name in sorted({*before["settings"], *now["settings"]} - resumable):
        old, new = before["settings"].get(name), now["settings"].get(name)
        if old != new:
            yield f"{name} was {old!r} and is {new!r}"
    for kind in ("problems", "models"):
        for name in sorted({*before[kind], *now[kind]}):
            if before[kind].get(name) != now[kind].get(name):
                yield f"the {kind} of {name!r} differ" if kind == "problems" else f"the model {name!r} differs"


def _fingerprint(problems: Iterable[Problem]) -> str:
    digest = hashlib.sha256()
    for problem in problems:
        row = [problem.id, problem.question, problem.reference, problem.solution]
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()


def _model_fingerprint(path: str) -> str:
    """A hash of the files of a local folder, and of an adapter's base model. A hub id stands for itself: its revision
    is a setting.
    """
    folder, base = Path(path), base_model_of(path)[0]
    if not folder.is_dir():
        return path
    digest = hashlib.sha256(b"" if base == path else _model_fingerprint(base).encode())
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        size = file.stat().st_size
        digest.update(f"{file.name} {size}\n".encode())
        with file.open("rb") as content:
            digest.update(content.read(_ENDS))
            content.seek(max(0, size - _ENDS))
            digest.update(content.read(_ENDS))
    return digest.hexdigest()
