"""TRL's reward functions, used as they are.

    def f(prompts, completions, **columns) -> list[float | None]        also `async def`, also callable objects

`trl_arguments` lists what is passed. The function returns one number or None ("does not apply") per completion. A
wrong count, a value that is no number, NaN or inf means that the function is broken: `GraderError`. A function that
raises is called once more for each row alone. Rows that still raise are unjudged; if all of them do, the function is
broken. A broken function stops the run; it never scores 0.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from selftrain.errors import GraderError
from selftrain.graders.base import Grader, problem_of
from selftrain.graders.rewards.trl_arguments import Arguments, RewardFunction, Row, name_of, unwrapped
from selftrain.types import Problem, Response, Score


class RewardFunctionGrader(Grader):
    """A reward function as a grader."""

    def __init__(self, function: RewardFunction) -> None:
        self.name = name_of(function)
        self._function = function
        self._arguments = Arguments(function)
        self._loop = _Loop() if _is_async(function) else None

    def grade(self, responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
        started = time.perf_counter()
        rows = [(response, problem_of(response, problems)) for response in responses]
        scores = self._grade(rows) if rows else []
        return [replace(score, seconds=(time.perf_counter() - started) / len(rows)) for score in scores]

    def close(self) -> None:
        if self._loop is not None:
            self._loop.close()

    def _grade(self, rows: Sequence[Row]) -> list[Score]:
        try:
            return self._call(rows)
        except GraderError:
            raise
        except (Exception, SystemExit) as error:
            # The user's code may raise anything, and one bad row must not cost the others.
            if len(rows) == 1:
                raise self._always_raises(error, rows) from error
        scores: list[Score] = []
        failures: list[BaseException] = []
        for row in rows:
            try:
                scores += self._call([row])
            except GraderError:
                raise
            except (Exception, SystemExit) as error:
                failures.append(error)
                scores.append(Score(None, None, f"reward function {self.name} raised {_describe(error)}"))
        if len(failures) == len(rows):
            raise self._always_raises(failures[-1], rows) from failures[-1]
        return scores

    def _call(self, rows: Sequence[Row]) -> list[Score]:
        extra: dict[str, Sequence[Any]] = {}

        def log_extra(column: str, values: Sequence[Any]) -> None:
            extra[column] = values

        def log_metric(name: str, value: float) -> None:
            """Dropped: a score has no place for metrics."""

        returned = self._function(**self._arguments.of(rows, log_extra=log_extra, log_metric=log_metric))
        values = self._checked(self._loop.run(returned) if self._loop else returned, rows)
        answers = extra.get("extracted_answer", ())
        if len(answers) != len(rows):
            answers = [None] * len(rows)
        return [
            Score(value, None if answer is None else str(answer), returned_none(self.name) if value is None else "")
            for value, answer in zip(values, answers, strict=True)
        ]

    def _checked(self, returned: Any, rows: Sequence[Row]) -> list[float | None]:
        if not hasattr(returned, "__len__") or isinstance(returned, (str, bytes, Mapping)):
            raise self._broken(f"returned {type(returned).__name__}; expected a list of {len(rows)} numbers")
        if len(returned) != len(rows):
            raise self._broken(f"returned {len(returned)} scores; expected {len(rows)}, one for each answer")
        values: list[float | None] = []
        for row, (value, (_, problem)) in enumerate(zip(returned, rows, strict=True)):
            is_number = hasattr(value, "__float__") and math.isfinite(float(value))
            if value is not None and not is_number:
                raise self._broken(f"returned {value!r:.60} for row {row} (problem {problem.id}); expected a number")
            values.append(None if value is None else float(value))
        return values

    def _broken(self, how: str) -> GraderError:
        return GraderError(
            f"Reward function {self.name} {how}.",
            "Its meaning cannot be guessed, and a guess would be trained on.",
            "Return one finite number per completion, or None if the function does not apply.",
        )

    def _always_raises(self, error: BaseException, rows: Sequence[Row]) -> GraderError:
        return GraderError(
            f"Reward function {self.name} raised {_describe(error)}, for each of {len(rows)} completions.",
            "A function that always fails says nothing about completions, so none is scored 0 for it.",
            "Fix the function. selftrain/graders/rewards/trl_arguments.py lists the arguments that it gets.",
        )


class _Loop:
    """One event loop in a thread of its own, so that a client opened in one batch still works in the next.

    The caller may be running a loop already (notebooks do), inside which another one cannot run.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="async reward")
        self._runner = asyncio.Runner()

    def run(self, coroutine: Any) -> Any:
        return self._thread.submit(self._runner.run, coroutine).result()

    def close(self) -> None:
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()


def returned_none(name: str) -> str:
    """The reason of a score for which the function does not apply."""
    return f"reward function {name} returned None"


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"


def _is_async(function: RewardFunction) -> bool:
    function = unwrapped(function)
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
