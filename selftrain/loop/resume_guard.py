"""Refuses to resume a run with other settings, problems or models than it was started with."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selftrain.config import Resolved
from selftrain.errors import RunError
from selftrain.loop.run_config import MODEL_PLACES
from selftrain.models.source import find_source
from selftrain.problems.splits import DataSplits
from selftrain.storage import AnswerCache, Record
from selftrain.storage.journal import Reader
from selftrain.types import Problem

#: Bytes that are read at both ends of a longer file: reading all weights would take too long.
_ENDS = 1 << 20
#: A larger number of torch's threads is none that a run had.
MOST_THREADS = 4096


def inputs_of(command: str, splits: DataSplits, models: Mapping[str, str], settings: Resolved) -> dict[str, Any]:
    """JSON: the command, every setting and its origin, torch's threads, and fingerprints of problems and models."""
    import torch

    return {
        "command": command,
        **settings_and_origins(settings),
        "torch_threads": torch.get_num_threads(),
        "problems": {
            "train": _fingerprint(splits.train),
            "validation": _fingerprint(splits.validation),
            "evaluation": _fingerprint(splits.evaluation),
        },
        "models": {name: _model_fingerprint(path) for name, path in models.items()},
    }


def settings_and_origins(settings: Resolved) -> dict[str, Any]:
    """For the journal: a run that is killed before it writes settings.yaml keeps where each value came from, and which
    of them change no result.
    """
    origins = {name: [origin.kind, origin.place] for name, origin in settings.origins.items()}
    return {"settings": settings.to_dict(), "origins": origins, "resumable": sorted(settings.resumable)}


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
        record = Record.create(path, inputs, answer_cache)
        record.adopt_given_models()
        return record
    record = Record.resume(path, answer_cache)
    try:
        differences = [*_differences(record.run_metadata, inputs, resumable)]
        if differences:
            raise RunError(
                f"{path} was started with something else: {'; '.join(differences)}",
                "its finished rounds and the rest would not be one run",
                "resume it as it was, or start another run",
            )
        record.adopt_given_models()
    except BaseException:
        record.__exit__(None, None, None)
        raise
    return record


@contextmanager
def recorded_threads(path: str | Path, *, resume: bool) -> Iterator[list[str]]:
    """As many threads as the run to resume began with, inside; yields lines for the log.

    A sum that is divided among other threads is rounded in another way, so weights would differ in their last bits.

    Raises:
        RunError: there is no such run.
    """
    if not resume:
        yield []
        return
    import torch

    from selftrain.models.logprobs import torch_threads

    recorded = Reader.read(path).journal[0].metadata.get("torch_threads")
    if type(recorded) is not int or not 0 < recorded <= MOST_THREADS:
        yield ["the run does not say how many threads torch had: on a CPU weights may differ in their last bits"]
        return
    here, cores = torch.get_num_threads(), os.cpu_count() or 1
    with torch_threads(recorded):
        lines = [f"torch computes with {recorded} threads, as when the run began; here it would be {here}"]
        more = f"{recorded} threads are more than the {cores} cores here: weights may differ in their last bits"
        yield lines * (here != recorded) + [more] * (recorded > cores)


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], resumable: Set[str]) -> Iterable[str]:
    # The same files in another place: a folder that was moved, perhaps with the run that it lies in.
    moved = MODEL_PLACES if before["models"] == now["models"] else ()
    for name in sorted({*before["settings"], *now["settings"]} - resumable - {*moved}):
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
    """A hash of the files of a local folder or GGUF, and of an adapter's base model. A hub id stands for itself: its
    revision is a setting.
    """
    if not Path(path).exists():
        return path
    source = find_source(path)
    digest = hashlib.sha256()
    for part in (source.base, *source.adapters):
        _add_files(digest, part)
    return digest.hexdigest()


def _add_files(digest: hashlib._Hash, part: str) -> None:
    if not Path(part).exists():
        digest.update(part.encode())
        return
    for file in (
        sorted(path for path in Path(part).iterdir() if path.is_file()) if Path(part).is_dir() else [Path(part)]
    ):
        size = file.stat().st_size
        digest.update(f"{file.name} {size}\n".encode())
        with file.open("rb") as content:
            digest.update(content.read(_ENDS))
            content.seek(max(0, size - _ENDS))
            digest.update(content.read(_ENDS))
