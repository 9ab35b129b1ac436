"""A small run: in each round items in a log, a table, a folder of weights, and a step without files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from selftrain.errors import RunError
from selftrain.storage.journal import Store, StoreOptions, disk_errors, holds_run

SCRIPT = {"rounds": 3, "items": 40, "flush_every": 8}
OPTIONS = StoreOptions(unmanaged=("log.txt",), reserve_bytes=1 << 16, commit_seconds=1e9)


def rows_of(step: str, item: int) -> list[dict[str, Any]]:
    digest = hashlib.sha256(f"{step}/{item}".encode()).hexdigest()
    return [
        {"id": f"p{item:03d}", "index": index, "text": digest[index:] * (1 + item % 5), "reward": item / 7}
        for index in range(1 + item % 3)
    ]


def schema() -> Any:
    import pyarrow as pa

    return pa.schema([("id", pa.string()), ("index", pa.int32()), ("text", pa.string()), ("reward", pa.float64())])


def encode(rows: list[dict[str, Any]]) -> bytes:
    """As a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema()), sink)
    return bytes(sink.getvalue())


def write(path: Path, data: bytes) -> None:
    """Without a sync, as a library saves a model; by calls that can be counted."""
    try:
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            os.write(descriptor, data)
            os.close(descriptor)
    except RunError as error:
        if not isinstance(error.__cause__, InterruptedError):
            raise
        write(path, data)


def play(folder: Path, script: Mapping[str, int], note: Callable[[str], None]) -> None:
    """Starts the run or resumes it. `note` is called for every item that is made, kept and synced."""
    opened = (
        Store.open(folder, OPTIONS) if holds_run(folder) else Store.create(folder, {"script": dict(script)}, OPTIONS)
    )
    with opened as store:
        assert not store.quarantined, f"a kill left strangers: {store.quarantined}"
        for number in range(1, script["rounds"] + 1):
            name = f"round-{number:04d}"
            if not store.finished(f"{name}/samples"):
                rows = _sample(store, f"{name}/answers", script, note)
                write(store.partial(f"samples/{name}.parquet"), encode(rows))
                store.commit(f"{name}/samples", [f"samples/{name}.parquet"], {"items": script["items"]})
            if not store.finished(f"{name}/weights"):
                partial = store.partial(f"weights/{name}")
                write(partial / "model.bin", hashlib.sha256(name.encode()).digest() * 700)
                write(partial / "nested" / "config.json", name.encode())
                store.commit(f"{name}/weights", [f"weights/{name}"], {"loss": number / 3})
            if number > 1 and not any(e.kind == "drop" and e.step == _before(number) for e in store.journal):
                store.drop(_before(number))
            store.discard_log(f"{name}/answers")
            if not store.finished(f"{name}/line"):
                (path,) = store.verify(f"{name}/samples").files
                store.commit(f"{name}/line", metadata={"bytes": store.locate(path).stat().st_size})


def _before(number: int) -> str:
    return f"round-{number - 1:04d}/weights"


def _sample(store: Store, step: str, script: Mapping[str, int], note: Callable[[str], None]) -> list[dict[str, Any]]:
    """The rows of all items: what the log holds is read, the rest is made."""
    log, found = store.log(step), []
    for item in range(script["items"]):
        rows = log.rows.get(f"item-{item}")
        if rows is None:
            note(f"made {step} {item}")
            rows = rows_of(step, item)
            log.append(f"item-{item}", rows)
            note(f"kept {step} {item}")
        if (item + 1) % script["flush_every"] == 0:
            log.flush()
            note("safe")
        found += rows
    return found
