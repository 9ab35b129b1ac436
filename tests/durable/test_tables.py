"""Tables are made some rows at a time; their files are those of all rows at once."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selftrain.record.rows import response_row, responses_of, sample_row, sample_schema, table_of
from selftrain.types import Prompt, Response, Sample, Score


def made_up(count: int) -> Iterator[dict[str, Any]]:
    rng = random.Random(1)
    for number in range(count):
        ids = tuple(rng.randrange(150_000) for _ in range(rng.randint(0, 40)))
        response = Response(
            Prompt(f"p{number // 7}", "q"), "Question: q", number % 7, "x " * len(ids), ids, -1.0, "stop", "m", 1
        )
        score = Score(rng.choice([None, 0.0, 1.0]), rng.choice([None, "1"]), others=rng.choice([{}, {"lenient": 1.0}]))
        sample = Sample(response, score, 1.0, rng.choice([None, "wrong"]))
        yield sample_row(sample, 1, rng.choice([None, "3"]))


def file_of(table: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


@pytest.mark.parametrize("count", [0, 1, 4096, 9000])
def test_the_file_of_a_table_hangs_on_its_rows_alone(count: int) -> None:
    at_once = pa.Table.from_pylist(list(made_up(count)), schema=sample_schema())
    assert file_of(table_of(made_up(count), sample_schema())) == file_of(at_once)


def test_equal_token_ids_of_different_answers_are_one_object() -> None:
    row = next(row for row in made_up(9) if row["token_ids"])
    response = Response(Prompt("p", "q"), "q", 0, "x", tuple(row["token_ids"]), -1.0, "stop", "m", 1)
    stored = response_row(response)

    def read_anew() -> Response:
        as_read = {**stored, "ids": [int(str(one)) for one in stored["ids"]]}
        return responses_of([as_read], [response.prompt], 1, lambda _: "q", "m")[0]

    first, second = read_anew(), read_anew()
    assert first == second == response
    assert all(one is other for one, other in zip(first.token_ids, second.token_ids, strict=True))
