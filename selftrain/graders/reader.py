"""Extracting answers without grading them: for votes, agreement between models, and problems without labels."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from selftrain.graders.base import Grader
from selftrain.types import Problem, Response, Score


class AnswerReader(Grader):
    """Leaves every response unjudged, with its answer: `Score(None, answer, reason)`.

    Args:
        grader_name: the grader whose reading this is.
        extract: the answer of a response, spelled alike for all answers that mean the same; None if there is none.
    """

    scores_independently = True

    def __init__(self, grader_name: str, extract: Callable[[Response], str | None]) -> None:
        self.name, self._extract = f"reader:{grader_name}", extract

    def grade(self, responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
        """`problems` is not used and may be empty."""
        return [self._score(response) for response in responses]

    def _score(self, response: Response) -> Score:
        start = time.perf_counter()
        answer = self._extract(response)
        reason = "no answer found" if answer is None else "read, not judged"
        return Score(None, answer, reason, time.perf_counter() - start)
