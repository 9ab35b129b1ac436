"""Finished rounds that two runs have in common."""

from __future__ import annotations

from selftrain.storage.derived_files import link_or_copy
from selftrain.storage.journal import Reader, Store


def round_step(number: int) -> str:
    return f"round-{number:04d}"


def saved_as(number: int, kind: str) -> tuple[str, str]:
    """The step and the folder of something that is saved."""
    name = round_step(number)
    return f"{name}/{kind}", f"weights/{name}" if kind == "weights" else f"checkpoint/{name}/{kind}"


def shareable_rounds(source: Reader) -> list[int]:
    """Finished rounds that a run can go on from, and did not end with."""
    found, number = [], 1
    lives = any(entry.name.endswith("/state") for entry in source.journal)

    def is_there(kind: str) -> bool:
        entry = source.finished(saved_as(number, kind)[0])
        return entry is not None and set(entry.files) <= set(source.files) and (kind == "state" or bool(entry.files))

    while (line := source.finished(f"{round_step(number)}/line")) is not None:
        if not line.facts["ends"] and is_there("weights") and (is_there("state") or not lives):
            found.append(number)
        number += 1
    return found


def share_rounds(source: Reader, store: Store, last: int) -> None:
    """Takes over the rounds of `source` up to one of its `shareable_rounds`: the same files under a second name.

    Raises:
        RunError: a file of them is not what it was.
    """
    for entry in source.journal:
        step = entry.name
        ours = step.startswith("round-") and int(step[6:].partition("/")[0]) <= last
        if not ours or source.finished(step) is not entry or not set(entry.files) <= set(source.files):
            continue
        source.verify(step)
        for path in entry.files:
            link_or_copy(source.place(path), store.partial(path))
        store.commit(step, list(entry.files), entry.facts)
