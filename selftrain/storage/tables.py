"""Parquet files written a few rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from selftrain.storage.journal import disk_errors

#: Appends rows to a table.
Put = Callable[[Iterable[dict[str, Any]]], None]
#: Rows of a row group, which are Python objects in memory until it is full.
_GROUP = 4096


@contextmanager
def writing(path: Path, schema: Any, final_path: Path) -> Iterator[Put]:
    """A file whose bytes depend on the rows only, not on how they were split into calls.

    Args:
        final_path: the file's name in error messages.

    Raises:
        RunError: the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with disk_errors(final_path):
        writer = pq.ParquetWriter(path, schema, compression="zstd")
    group: list[dict[str, Any]] = []

    def write() -> None:
        with disk_errors(final_path):
            writer.write_batch(pa.RecordBatch.from_pylist(group, schema=schema))
        group.clear()

    def put(rows: Iterable[dict[str, Any]]) -> None:
        for row in rows:
            group.append(row)
            if len(group) == _GROUP:
                write()

    try:
        yield put
        if group:
            write()
        with disk_errors(final_path):
            writer.close()
    except BaseException:
        with suppress(OSError):  # the file is incomplete anyway
            writer.close()
        raise
