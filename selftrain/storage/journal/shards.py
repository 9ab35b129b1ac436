"""Rows as the bytes of one Parquet file. The same rows give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def in_order(units: Mapping[str, Iterable[dict[str, Any]]], sort_by: Sequence[str]) -> list[dict[str, Any]]:
    """All rows by the columns `sort_by`, None first; of equal rows the unit's key decides, and never who was first."""
    rows = [row for _, unit in sorted(units.items()) for row in unit]
    return sorted(rows, key=lambda row: [(row[column] is not None, row[column]) for column in sort_by])


def encode(rows: list[dict[str, Any]], schema: Any) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink, compression="zstd")
    return bytes(sink.getvalue())


def decode(data: bytes) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.ParquetFile(pa.BufferReader(data)).read().to_pylist()
    return rows
