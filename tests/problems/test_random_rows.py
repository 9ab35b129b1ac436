"""Rows of anything at all, in columns of any name that means something: read, or refused with a message."""

from __future__ import annotations

import datetime
import decimal
import random
from typing import Any

import numpy
import pytest

from selftrain.errors import SelftrainError
from selftrain.problems import load_problems

NAMES = [
    "question", "answer", "context", "body", "Body", "passage", "choices", "options", "label", "answerKey", "messages",
    "prompt", "input", "target", "solution", "A", "B", "C", "option_a", "option_b", "text", "reward_model", "correct",
    "opa", "opb", "cop", "history", "image", "lSolutions", "sQuestion", "task_id", "test_list", "endings", "candidates",
    "gold", "ending0", "ending1",
]  # fmt: skip
TEXTS = [
    "", "7", "A", "a) 4 b) 5", "(B)", "x" * 300, "['a', 'b']", "{'a': 1", "[" * 5000, '{"text": ["a", "b"]}', "#### 5",
    "\\boxed{3}", "  ", "\0", "\ud800", "A. 1\nB. 2", "[1, 2]", "nan", "1e999", "007",
]  # fmt: skip
ODD = [
    None, 0, 2, -1, 10**30, 0.1, float("nan"), float("inf"), True, b"x", datetime.date(2020, 1, 1), object(), {1, 2},
    numpy.float32(0.1), numpy.int64(3), numpy.array([1, 2]), numpy.array(3.5, dtype="float16"), numpy.array([["a"]]),
    decimal.Decimal("1.5"), decimal.Decimal("NaN"), numpy.float16("inf"), numpy.str_("A"), numpy.bool_(True),
]  # fmt: skip


def value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(8 if depth < 4 else 2)
    if kind < 2:
        return rng.choice(TEXTS if kind else ODD)
    if kind < 4:
        return [value(rng, depth + 1) for _ in range(rng.randrange(5))]
    if kind < 5:
        names = ("text", "label", "role", "content", "a", "A", "B", 1, None, "ground_truth")
        return {rng.choice(names): value(rng, depth + 1) for _ in range(rng.randrange(4))}
    if kind < 6:
        roles = ("user", "system", "assistant", "tool", None, 3)
        return [{"role": rng.choice(roles), "content": value(rng, depth + 1)} for _ in range(rng.randrange(4))]
    return {"text": ["a", "b", "c"], "label": value(rng, depth + 1)} if kind < 7 else str(rng.randrange(20))


@pytest.mark.parametrize("seed", range(4))
def test_random_rows_are_read_or_refused(seed: int) -> None:
    rng, read, cases = random.Random(seed), 0, 250
    for _ in range(cases):
        names = rng.sample(NAMES, rng.randrange(1, 7))
        rows = [{name: value(rng) for name in names} for _ in range(rng.randrange(1, 4))]
        if rng.random() < 0.7:
            for number, row in enumerate(rows):
                row |= {"question": f"q{number}?", "answer": rng.choice(["A", "B", "3", 2, "7"])}
        settings = {"require_answers": rng.random() < 0.8}
        settings |= {"question_column": rng.choice(names)} if rng.random() < 0.1 else {}
        try:
            problems = load_problems(rows, **settings)
        except SelftrainError:
            continue
        read += 1
        assert all(isinstance(problem.question, str) and problem.question for problem in problems)
    assert cases / 10 < read < cases
