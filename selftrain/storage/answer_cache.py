"""What was asked in a step of a run and what came of it, so that after a restart it is not done again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from selftrain.storage.rows import score_row
from selftrain.types import Grade, Response, Score

Rows = list[dict[str, Any]]


class KeepsRows(Protocol):
    """A log of `selftrain.storage.journal`."""

    @property
    def rows(self) -> Mapping[str, Rows]: ...

    def append(self, key: str, rows: Sequence[dict[str, Any]]) -> None: ...


class AnswerCache:
    """memory("3/llama/...", compute) gives what `compute` gave when this was asked first, even in another process.

    The same question may come several times in a step; the first, second, ... of each are told apart. So a step has to
    ask its questions in one and the same order, which everything here does: what is asked depends on nothing but the
    settings and earlier answers.

    Args:
        heed: called after each answer that was written down: the place where a run may stop.
    """

    def __init__(self, raise_if_stopping: Callable[[], None] = lambda: None) -> None:
        self.step = ""
        self._log: KeepsRows | None = None
        self._asked: Counter[str] = Counter()
        self._raise_if_stopping = raise_if_stopping

    @contextmanager
    def during(self, step: str, log: KeepsRows) -> Iterator[None]:
        """Within a step; outside of one nothing is remembered."""
        self.step, self._log, self._asked = step, log, Counter()
        try:
            yield
        finally:
            self.step, self._log = "", None

    def knows(self, questions: Sequence[str]) -> list[bool]:
        """Which of them, were they asked one after another now, have an answer already."""
        if self._log is None:
            return [False] * len(questions)
        asked, known = self._asked.copy(), []
        for question in questions:
            asked[question] += 1
            known.append(f"{question}#{asked[question]}" in self._log.rows)
        return known

    def __call__(self, question: str, compute: Callable[[], Rows]) -> Rows:
        if self._log is None:
            return compute()
        self._asked[question] += 1
        key = f"{question}#{self._asked[question]}"
        known = self._log.rows.get(key)
        if known is not None:
            return known
        rows = compute()
        self._log.append(key, rows)
        self._raise_if_stopping()
        return rows


#: Answers that are judged and written down at once.
_CHUNK = 256


def remember_grade(answer_cache: AnswerCache, grade: Callable[[Sequence[Response]], list[Score]]) -> Grade:
    """`grade`, some problems at a time, so that a verdict is written down before the next ones are sought.

    All answers to a problem are judged together: some judges compare them.
    """

    def remembered(responses: Sequence[Response]) -> list[Score]:
        places: dict[str, list[int]] = {}
        for place, response in enumerate(responses):
            places.setdefault(response.prompt.problem_id, []).append(place)
        scores: list[Score | None] = [None] * len(responses)
        for chunk in _chunks(list(places.values())):
            asked = [responses[place] for place in chunk]
            rows = answer_cache("grade", lambda asked=asked: [score_row(score) for score in grade(asked)])  # type: ignore[misc]
            for place, row in zip(chunk, rows, strict=True):
                scores[place] = Score(**row)
        return [score for score in scores if score is not None]

    return remembered


def _chunks(groups: Sequence[list[int]]) -> Iterator[list[int]]:
    chunk: list[int] = []
    for group in groups:
        chunk += group
        if len(chunk) >= _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
