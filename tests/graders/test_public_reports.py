"""Inputs rebuilt from public bug reports of tools like ours, by kind of fault: the verdicts of `selftrain grade`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from selftrain.cli.grade import Row, grade_rows
from selftrain.graders import Grader, open_grader
from selftrain.types import Problem

GRADERS = ("math", "choice", "exact")
#: Rows of failing.jsonl that are not right yet, by kind.
OPEN: Mapping[str, str] = {}
#: Rows whose expected verdict we dispute, and why.
DISPUTED: Mapping[str, str] = {}

_SLOW = "comparison hangs or crashes"
_KINDS = ("K1", "K1b", "K2", "K3", "K4", "K5", "K6", "K7", "K8", "K9", "K10", "K11", "K12", "K13", "K14", "K15", "K16")


@cache
def rows(file: Path) -> list[dict[str, Any]]:
    read = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
    return [row | {"grader": name} for row in read for name in GRADERS if row["surface"].endswith(f"--judge {name}")]


def is_as_expected(graded: Mapping[str, Any], expected: Any) -> bool:
    if "too busy" in graded["reason"]:  # unjudged, as it has to be: this machine's load is not the row's fault
        return True
    return expected == "either" or str(graded["verdict"]) in map(
        str, expected if isinstance(expected, list) else [expected]
    )


def wrong(graders: Mapping[str, Grader], chosen: list[dict[str, Any]]) -> list[str]:
    found = []
    for row in chosen:
        gold, prediction = row["input"]["gold"], row["input"]["prediction"]
        line = Row(1, row["input"], problem=Problem("1", "", gold, row["input"]), text=prediction)
        ((_, graded),) = grade_rows([line], [graders[row["grader"]]])
        if not is_as_expected(graded, row["expected"]) and row["id"] not in DISPUTED:
            found.append(f"{row['id']} {gold!r} {prediction[:80]!r}: {graded['verdict']}, {graded['reason']}")
    return found


@pytest.fixture(scope="module")
def graders(math_grader: Grader) -> Mapping[str, Grader]:
    return {"math": math_grader, "choice": open_grader("choice"), "exact": open_grader("exact")}


@pytest.fixture(scope="module")
def reports(data: Path) -> Path:
    if not (data / "public_reports").is_dir():
        pytest.skip(f"no public_reports/ in {data}")
    return data / "public_reports"


@pytest.mark.parametrize("kind", _KINDS)
def test_no_reported_fault_of_this_kind_is_left(reports: Path, graders: Mapping[str, Grader], kind: str) -> None:
    chosen = [row for row in rows(reports / "failing.jsonl") if row["kind"].split()[0] == kind]
    found = wrong(graders, chosen)
    assert [line for line in found if line.split()[0] not in OPEN.get(kind, "")] == []


@pytest.mark.parametrize("name", GRADERS)
def test_what_was_right_stays_right(reports: Path, graders: Mapping[str, Grader], name: str) -> None:
    chosen = [row for row in rows(reports / "passing.jsonl") if row["grader"] == name]
    assert wrong(graders, [row for row in chosen if row["symptom"] != _SLOW]) == []


@pytest.mark.slow
def test_what_takes_the_whole_second_of_a_comparison_stays_wrong(reports: Path, graders: Mapping[str, Grader]) -> None:
    assert wrong(graders, [row for row in rows(reports / "passing.jsonl") if row["symptom"] == _SLOW]) == []
