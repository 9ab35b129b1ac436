from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from selftrain.graders import open_grader, self_test
from selftrain.problems import load_problems
from selftrain.types import Problem, Prompt, Response


def response(text: str, problem_id: str = "p") -> Response:
    return Response(Prompt(problem_id, "?"), "?", 0, text, (1,), 0.0, "stop", "m", 0)


@pytest.mark.parametrize(
    ("text", "gold", "value", "answer"),
    [
        ("So the answer is (B).", "B", 1.0, "B"),
        ("The answer is B) 125.", "(B)", 1.0, "B"),
        ("#### C", "B", 0.0, "C"),
        ("The answer is Blue.", "B", 0.0, None),
        ("I think it is B because\nA is wrong", "B", 0.0, None),
    ],
)
def test_choice_reads_a_letter_and_nothing_else(text: str, gold: str, value: float, answer: str | None) -> None:
    (score,) = open_grader("choice").grade([response(text)], {"p": Problem("p", "?", gold)})
    assert (score.value, score.extracted_answer) == (value, answer)


def test_a_gold_that_is_no_letter_leaves_the_answer_unjudged() -> None:
    (score,) = open_grader("choice").grade([response("The answer is B.")], {"p": Problem("p", "?", "blue")})
    assert score.value is None


def test_exact_compares_text_as_it_stands() -> None:
    problems = {"p": Problem("p", "?", "valid")}
    texts = ["So the answer is valid.", "So the answer is Valid.", "Hm."]
    assert [s.value for s in open_grader("exact").grade([response(t) for t in texts], problems)] == [1.0, 0.0, 0.0]


def test_exact_scores_big_bench_hard_as_published(data: Path) -> None:
    """1,000 real answers with their published verdicts."""
    with gzip.open(data / "bbh" / "codex_cot_outputs_4tasks.jsonl.gz", "rt") as file:
        rows = [row for row in map(json.loads, file) if "target" in row]
    assert len(rows) == 1000
    problems = {str(i): Problem(str(i), "?", row["target"]) for i, row in enumerate(rows)}
    scores = open_grader("exact").grade([response(row["prediction"], str(i)) for i, row in enumerate(rows)], problems)
    assert [score.value == 1.0 for score in scores] == [row["exact_match"] for row in rows]


@pytest.mark.parametrize("name", ["aqua/test.json", "bbh/bbh/boolean_expressions.json"])
def test_every_gold_of_the_real_sets_is_read(data: Path, name: str) -> None:
    problems = load_problems(data / name)
    assert problems.grader in ("choice", "exact")
    assert self_test(open_grader(problems.grader), problems) == []
