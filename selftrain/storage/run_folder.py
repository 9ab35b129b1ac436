"""Reads a run's folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selftrain.errors import RunError


def _merged(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Lines of rounds.jsonl; a later line of a round and model (a late evaluation) adds keys to the earlier."""
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for line in lines:
        found.setdefault((line["round"], line["model"]), {}).update(line)
    return list(found.values())


@dataclass(frozen=True)
class RunFolder:
    """A run's folder, to be read."""

    path: Path

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """
        Raises:
            RunError: it is not a run's folder.
        """
        folder = cls(Path(path))
        if not (folder.path / "settings.yaml").is_file():
            raise RunError(
                f"{str(path)!r} is not a run's folder",
                "it has no settings.yaml",
                "give the --output_dir of a run",
            )
        return folder

    def weights(self, round_number: int) -> Path:
        return self.path / "weights" / f"round-{round_number:04d}"

    def weights_of(self, round_number: int, model: str) -> Path:
        """One model's weights of a round, in a subfolder where several models are trained."""
        folder = self.weights(round_number)
        return folder / model if (folder / model).is_dir() else folder

    def weights_name(self, round_number: int, model: str, base: str) -> str:
        """Path of the weights of a round, relative to this folder; in round 0 it is `base`, the base model."""
        return str(self.weights_of(round_number, model).relative_to(self.path)) if round_number else base

    def rounds(self) -> list[dict[str, Any]]:
        """The lines of rounds.jsonl by round and model; the first of each round has the seconds of timings.jsonl."""
        lines = _merged(self._lines("rounds.jsonl"))
        for timing in self._lines("timings.jsonl"):
            first = next((line for line in lines if line["round"] == timing["round"]), {})
            spent = first.setdefault("seconds", {})
            for what, seconds in timing["seconds"].items():
                # An interrupted round has several lines.
                spent[what] = round(spent.get(what, 0.0) + seconds, 2)
        return lines

    def _lines(self, name: str) -> list[dict[str, Any]]:
        path = self.path / name
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    def query(self, sql: str) -> Any:
        """A DuckDB relation: a query over the tables `samples`, `evaluations`, `problems` and `rounds`.

        Raises:
            RunError: the query is wrong; the message is DuckDB's.
        """
        import duckdb

        connection = duckdb.connect()
        for table, files in {
            "samples": "samples/*.parquet", "evaluations": "evaluations/*.parquet", "problems": "problems.parquet",
        }.items():  # fmt: skip
            if any(self.path.glob(files)):
                # A view cannot have parameters, so the path is a literal, with quotes doubled.
                place = str(self.path / files).replace("'", "''")
                connection.execute(f"create view {table} as select * from read_parquet('{place}')")
        if (self.path / "rounds.jsonl").exists():
            place = str(self.path / "rounds.jsonl").replace("'", "''")
            connection.execute(f"create view rounds as select * from read_json('{place}', format='newline_delimited')")
        try:
            return connection.sql(sql)
        except duckdb.Error as error:
            tables = "tables: samples, evaluations, problems, rounds"
            raise RunError(f"the query failed: {error}", "", tables) from error
