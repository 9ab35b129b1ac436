"""Parquet files that are written some rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from selftrain.storage.derived_files import disk_errors

#: Takes rows of a table.
Put = Callable[[Iterable[dict[str, Any]]], None]
#: Rows that are Python objects at the same time, and of a row group of the file.
_AT_ONCE = 4096


@contextmanager
def writing(path: Path, schema: Any, place: Path) -> Iterator[Put]:
    """A file whose bytes hang on the rows alone, not on how many were put at a time.

    Args:
        place: how the file is called where it cannot be written.

    Raises:
        RunError: it cannot.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with disk_errors(place):
        writer = pq.ParquetWriter(path, schema, compression="zstd")
    waiting: list[dict[str, Any]] = []

    def write() -> None:
        with disk_errors(place):
            writer.write_batch(pa.RecordBatch.from_pylist(waiting, schema=schema))
        waiting.clear()

    def put(rows: Iterable[dict[str, Any]]) -> None:
        for row in rows:
            waiting.append(row)
            if len(waiting) == _AT_ONCE:
                write()

    try:
        yield put
        if waiting:
            write()
        with disk_errors(place):
            writer.close()
    except BaseException:
        # Nobody will read it.
        with suppress(OSError):
            writer.close()
        raise
