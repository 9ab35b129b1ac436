"""A run in small: rounds of units in a log, a sealed table, a folder of weights, facts. Told how many of each."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from selftrain.storage.journal import Store, Terms, disk_error, holds_run

SCRIPT = {"rounds": 3, "units": 40, "flush_every": 8}
TERMS = Terms(free=("log.txt",), reserve_bytes=1 << 16, commit_seconds=1e9)


def rows_of(step: str, unit: int) -> list[dict[str, Any]]:
    digest = hashlib.sha256(f"{step}/{unit}".encode()).hexdigest()
    return [
        {"id": f"p{unit:03d}", "index": index, "text": digest[index:] * (1 + unit % 5), "reward": unit / 7}
        for index in range(1 + unit % 3)
    ]


def schema() -> Any:
    import pyarrow as pa

    return pa.schema([("id", pa.string()), ("index", pa.int32()), ("text", pa.string()), ("reward", pa.float64())])


def write(path: Path, data: bytes) -> None:
    """Without a sync, as a library saves a model; by calls that can be counted."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.write(descriptor, data)
        os.close(descriptor)
    except InterruptedError:
        write(path, data)
    except OSError as error:
        raise disk_error(error, path) from error


def play(folder: Path, script: Mapping[str, int], note: Callable[[str], None]) -> None:
    """Starts the run or goes on with it. `note` hears of every unit that is made, kept and safe."""
    opened = Store.open(folder, TERMS) if holds_run(folder) else Store.create(folder, {"script": dict(script)}, TERMS)
    with opened as store:
        assert not store.set_aside, f"a kill left strangers: {store.set_aside}"
        for number in range(1, script["rounds"] + 1):
            name = f"round-{number:04d}"
            if not store.finished(f"{name}/samples"):
                _sample(store, f"{name}/samples", f"samples/{name}.parquet", script, note)
            if not store.finished(f"{name}/weights"):
                partial = store.partial(f"weights/{name}")
                write(partial / "model.bin", hashlib.sha256(name.encode()).digest() * 700)
                write(partial / "nested" / "config.json", name.encode())
                store.commit(f"{name}/weights", [f"weights/{name}"], {"loss": number / 3})
            if number > 1 and not any(e.kind == "drop" and e.name == _before(number) for e in store.journal):
                store.drop(_before(number))
            if not store.finished(f"{name}/line"):
                rows = store.read_rows(f"{name}/samples")
                store.commit(f"{name}/line", facts={"rows": len(rows), "mean": sum(r["reward"] for r in rows)})


def _before(number: int) -> str:
    return f"round-{number - 1:04d}/weights"


def _sample(store: Store, step: str, path: str, script: Mapping[str, int], note: Callable[[str], None]) -> None:
    log = store.log(step)
    # Backwards on odd rounds: the order of arrival must not matter.
    units = range(script["units"])
    for count, unit in enumerate(reversed(units) if int(step[9]) % 2 else units, 1):
        if f"unit-{unit}" not in log.rows:
            note(f"made {step} {unit}")
            log.append(f"unit-{unit}", rows_of(step, unit))
            note(f"kept {step} {unit}")
        if count % script["flush_every"] == 0:
            log.flush()
            note("safe")
    store.seal(step, path, schema(), ["id", "index"], {"units": script["units"]})
