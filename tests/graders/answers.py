"""Problems and responses with only what a grader reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from selftrain.graders import Grader
from selftrain.types import FinishReason, Problem, Prompt, Response, Score


def problem(reference: str | None = None, id: str = "p", **columns: Any) -> Problem:
    return Problem(id, "How many?", reference, columns)


def response(text: str, id: str = "p", finish_reason: FinishReason = "stop") -> Response:
    return Response(Prompt(id, "How many?"), "Q: How many?\nA:", 0, text, (5, 2), -1.0, finish_reason, "llama", 0)


def grade(grader: Grader, problem: Problem, text: str, finish_reason: FinishReason = "stop") -> Score:
    (score,) = grader.grade([response(text, problem.id, finish_reason)], {problem.id: problem})
    return score


def grade_all(grader: Grader, problems: Sequence[Problem], texts: Sequence[str]) -> list[Score]:
    responses = [response(text, of.id) for of, text in zip(problems, texts, strict=True)]
    return grader.grade(responses, {of.id: of for of in problems})
