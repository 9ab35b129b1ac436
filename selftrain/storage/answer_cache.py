"""Answers of models and graders that were computed in a step of a run, so that a resumed run computes none twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from selftrain.storage.rows import score_row
from selftrain.types import Grade, Response, Score

Rows = list[dict[str, Any]]


class RowLog(Protocol):
    """A log of `selftrain.storage.journal`."""

    @property
    def rows(self) -> Mapping[str, Rows]: ...

    def append(self, key: str, rows: Sequence[dict[str, Any]]) -> None: ...


class AnswerCache:
    """cache("3/llama/...", compute) returns what `compute` returned for this question before, in any process.

    A question may be asked several times in a step; the first, second, ... are distinguished by counting. So a step
    has to ask its questions in the same order every time, which holds here: they depend on settings and earlier answers
    only.

    Args:
        raise_if_stopping: called after each answer that was written: where a run may stop.
    """

    def __init__(self, raise_if_stopping: Callable[[], None] = lambda: None) -> None:
        self.step = ""
        self._log: RowLog | None = None
        self._counts: Counter[str] = Counter()
        self._raise_if_stopping = raise_if_stopping

    @contextmanager
    def during(self, step: str, log: RowLog) -> Iterator[None]:
        """Caches in this log; outside of any step nothing is cached."""
        self.step, self._log, self._counts = step, log, Counter()
        try:
            yield
        finally:
            self.step, self._log = "", None

    def has_answers(self, questions: Sequence[str]) -> list[bool]:
        """Which of these questions would be answered from the cache if they were asked next, in this order."""
        if self._log is None:
            return [False] * len(questions)
        counts, found = self._counts.copy(), []
        for question in questions:
            counts[question] += 1
            found.append(f"{question}#{counts[question]}" in self._log.rows)
        return found

    def __call__(self, question: str, compute: Callable[[], Rows]) -> Rows:
        if self._log is None:
            return compute()
        self._counts[question] += 1
        key = f"{question}#{self._counts[question]}"
        cached = self._log.rows.get(key)
        if cached is not None:
            return cached
        rows = compute()
        self._log.append(key, rows)
        self._raise_if_stopping()
        return rows


#: How many answers are graded and written at once.
_CHUNK = 256


def cached_grade(answer_cache: AnswerCache, grade: Callable[[Sequence[Response]], list[Score]]) -> Grade:
    """`grade`, some problems at a time, each chunk of scores written before the next is computed.

    All answers to a problem are graded together: some graders compare them.
    """

    def cached(responses: Sequence[Response]) -> list[Score]:
        by_problem: dict[str, list[int]] = {}
        for index, response in enumerate(responses):
            by_problem.setdefault(response.prompt.problem_id, []).append(index)
        scores: list[Score | None] = [None] * len(responses)
        for chunk in _chunks(list(by_problem.values())):
            part = [responses[index] for index in chunk]
            rows = answer_cache("grade", lambda part=part: [score_row(score) for score in grade(part)])  # type: ignore[misc]
            for index, row in zip(chunk, rows, strict=True):
                scores[index] = Score(**row)
        return [score for score in scores if score is not None]

    return cached


def _chunks(groups: Sequence[list[int]]) -> Iterator[list[int]]:
    chunk: list[int] = []
    for group in groups:
        chunk += group
        if len(chunk) >= _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
