"""`selftrain grade --judge code`: programs against the tests of their problem, sound lines and damaged ones."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from selftrain.graders import CodeGrader
from selftrain.graders.code.config import CodeConfig
from selftrain.sandbox import self_test
from selftrain.types import Problem
from tests.graders.answers import response
from tests.graders.test_grade import graded
from tests.sandbox.forging import HONEST, WRONG, programs

MBPP = {"text": "Write f.", "test_list": ["assert f(1) == 11", "assert f(2) == 17"], "code": HONEST}
CHECK = "def check(candidate):\n    assert candidate(5) == 47"
HUMANEVAL = {"prompt": "def f(n):\n", "entry_point": "f", "test": CHECK}
APPS = {"question": "f", "input_output": json.dumps({"fn_name": "f", "inputs": [[40]], "outputs": [1727]})}


@pytest.fixture(autouse=True)
def a_sandbox() -> None:
    if self_test()[0] is None:
        pytest.skip("no sandbox holds on this machine")


def line(problem: object, program: object, **more: object) -> bytes:
    return json.dumps({**more, "problem": problem, "program": program}).encode() + b"\n"


def test_rows_come_out_as_they_went_in_with_their_verdicts(here: Path) -> None:
    rows = graded(
        here,
        line(MBPP, HONEST, id=7, gold="the grader of code ignores this")
        + line(MBPP, WRONG)
        + line(HUMANEVAL, HONEST)
        + line(APPS, f"```python\n{HONEST}```")
        + line(MBPP | {"test_list": []}, HONEST)
        + line("HumanEval/0", HONEST)
        + line(MBPP, None)
        # Those tests count, too, that never give reward.
        + line(MBPP, "def f(n): return 11"),
        "--judge", "code",
    )  # fmt: skip
    assert [row["verdict"] for row in rows] == [True, False, True, True, None, None, None, False]
    assert list(rows[0])[:4] == ["id", "gold", "problem", "program"] and rows[0]["extracted_answer"] == HONEST
    assert "test_list is empty" in rows[4]["reason"]
    assert rows[5]["reason"] == "line 6: 'problem' is \"HumanEval/0\", not an object"


@pytest.mark.parametrize("number", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_damage_never_earns_a_verdict(number: int, here: Path) -> None:
    rng = random.Random(number)
    texts = [HONEST, WRONG, *(text for text in programs().values() if len(text) < 500)]
    lines = [_damaged(rng, line(rng.choice([MBPP, HUMANEVAL, APPS]), rng.choice(texts))) for _ in range(number)]
    rows = graded(here, b"".join(lines), "--judge", "code", "--test_timeout", "0.5")
    assert len(rows) == number and all(row["verdict"] in (True, False, None) for row in rows)
    with CodeGrader(CodeConfig()) as grader:
        for data, row in zip(lines, rows, strict=True):
            if row["verdict"]:
                sound = json.loads(data.decode("utf-8"))
                problem = Problem("p", "", None, sound["problem"])
                assert grader.evaluation_grader().grade([response(sound["program"])], {"p": problem})[0].value == 1.0
    assert {True, False} <= {row["verdict"] for row in rows}


def _damaged(rng: random.Random, data: bytes) -> bytes:
    text = bytearray(data[:-1])
    for _ in range(rng.randint(0, 2)):
        text[rng.randrange(len(text))] = rng.randrange(32, 256)
    return bytes(text) + b"\n"
