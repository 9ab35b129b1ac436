"""Tables are written some rows at a time; how many makes no difference."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from selftrain.storage.rows import response_row, responses_of, sample_row, sample_schema
from selftrain.storage.tables import writing
from selftrain.types import Prompt, Response, Sample, Score


def made_up(count: int) -> Iterator[dict[str, Any]]:
    rng = random.Random(1)
    for number in range(count):
        ids = tuple(rng.randrange(150_000) for _ in range(rng.randint(0, 40)))
        response = Response(
            Prompt(f"p{number // 7}", "q"), "Question: q", number % 7, "x " * len(ids), ids, -1.0, "stop", "m", 1
        )
        score = Score(
            rng.choice([None, 0.0, 1.0]), rng.choice([None, "1"]), extra_scores=rng.choice([{}, {"lenient": 1.0}])
        )
        sample = Sample(response, score, 1.0, rng.choice([None, "wrong"]))
        yield sample_row(sample, 1, rng.choice([None, "3"]))


@pytest.mark.parametrize("count", [0, 1, 4096, 9000])
def test_the_bytes_of_a_table_depend_on_its_rows_only(count: int, tmp_path: Path) -> None:
    rows, rng = list(made_up(count)), random.Random(2)
    with writing(tmp_path / "one", sample_schema(), tmp_path) as put:
        put(rows)
    rest = iter(rows)
    with writing(tmp_path / "other", sample_schema(), tmp_path) as put:
        while some := list(islice(rest, rng.randint(1, 3000))):
            put(some)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    read = pq.read_table(tmp_path / "one")
    assert read.schema == sample_schema() and read.to_pylist() == rows


def test_equal_token_ids_of_different_answers_are_one_object() -> None:
    row = next(row for row in made_up(9) if row["token_ids"])
    response = Response(Prompt("p", "q"), "q", 0, "x", tuple(row["token_ids"]), -1.0, "stop", "m", 1)
    stored = response_row(response)

    def read_anew() -> Response:
        as_read = {**stored, "ids": [int(str(one)) for one in stored["ids"]]}
        return responses_of([as_read], [response.prompt], 1, text=lambda _: "q", model="m")[0]

    first, second = read_anew(), read_anew()
    assert first == second == response
    assert all(one is other for one, other in zip(first.token_ids, second.token_ids, strict=True))
