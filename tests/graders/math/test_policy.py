"""The policy of docs/grading.md, row by row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from selftrain.graders import MathGrader
from selftrain.graders.math.worker import MathWorker
from tests.graders.answers import grade, problem

_PAGE = Path(__file__).parents[3] / "docs" / "grading.md"
_ROW = re.compile(r"^\| ([^|]+) \| (?:`([^`]*)`)? ?\| `([^`]*)` \| (right|wrong|none) \| (right|wrong|none) \|$", re.M)
_VALUES = {"right": 1.0, "wrong": 0.0, "none": None}
POLICY = _ROW.findall(_PAGE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def lenient_grader(math_worker: MathWorker) -> MathGrader:
    return MathGrader(strictness="lenient", worker=math_worker)


def test_every_row_of_the_table_is_read() -> None:
    table = _PAGE.read_text(encoding="utf-8").partition("## Policy")[2].partition("\n## ")[0]
    assert len(POLICY) == sum(line.startswith("|") for line in table.splitlines()) - 2 > 40


@pytest.mark.parametrize(("case", "gold", "answer", "strict", "lenient"), POLICY, ids=[row[0] for row in POLICY])
def test_the_grader_keeps_to_the_policy(
    math_grader: MathGrader, lenient_grader: MathGrader, case: str, gold: str, answer: str, strict: str, lenient: str
) -> None:
    score = grade(math_grader, problem(gold), answer)
    assert score.value == _VALUES[strict], score
    score = grade(lenient_grader, problem(gold), answer)
    assert score.value == _VALUES[lenient], score
