"""Thousands of damaged lines through `selftrain grade`: no traceback, no lost line, no verdict out of thin air."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from selftrain.graders import MathGrader
from tests.graders.answers import grade, problem
from tests.graders.math.test_forgeries import FORGERIES
from tests.graders.test_grade import graded, line

SEEDS = [
    *((gold, text) for gold, text in FORGERIES.values() if gold is not None and len(text) < 300),
    ("18", "She sells 9 eggs.\n#### 18"), ("1,800", "The answer is $1{,}800$."), ("\\frac12", "\\boxed{0.5}"),
    ("x^2+1", "\\boxed{1 + x^2}"), ("(3,4)", "so $\\left( 3, 4 \\right)$"), ("15, 9", "\\boxed{9}, \\boxed{15}"),
    ("50\\%", "It is 0.5.\nAnswer: 0.5"), ("odd", "The answer is odd."), ("B", "(B)"),
]  # fmt: skip
_SPLICES = ["\\boxed{", "}", "####", "\n", "0", "=", ",", "%", "\\frac", "^", "{", "\\text{", "−", "７", "\u200b", '"']


def mutated(rng: random.Random) -> bytes:
    """One line with one to four faults: in its texts, between its texts, or in its bytes."""
    gold, text = rng.choice(SEEDS)
    for _ in range(rng.randint(0, 3)):
        another_gold, another_text = rng.choice(SEEDS)
        gold, text = rng.choice(
            [
                (gold, _edited(rng, text)),
                (_edited(rng, gold), text),
                (text, gold),
                (another_gold, text),
                (gold, text + another_text),
            ]
        )
    data = bytearray(line(gold, text)[:-1])
    if rng.random() < 0.4:
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    if rng.random() < 0.1:
        del data[rng.randrange(1, len(data)) :]
    return bytes(data).replace(b"\n", b" ").replace(b"\r", b" ") + b"\n"


def _edited(rng: random.Random, text: str) -> str:
    at = rng.randrange(len(text) + 1)
    until = min(len(text), at + rng.randint(0, 3))
    return text[:at] + rng.choice(["", rng.choice(_SPLICES), text[at:until] * 2]) + text[until:]


@pytest.mark.parametrize("number", [200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_damage_never_earns_a_verdict(number: int, here: Path, math_grader: MathGrader) -> None:
    rng = random.Random(number)
    lines = [mutated(rng) for _ in range(number)]
    rows = graded(here, b"".join(lines))
    assert len(rows) == len(lines)
    for data, row in zip(lines, rows, strict=True):
        assert row["verdict"] in (True, False, None)
        if row["verdict"]:
            sound = json.loads(data.decode("utf-8"))
            assert grade(math_grader, problem(sound["gold"]), sound["prediction"]).value == 1.0, data
    assert {row["verdict"] for row in rows} == {True, False, None}
    assert max(row.get("seconds", 0.0) for row in rows) < 4.0  # a gold and an answer, each at its limit
