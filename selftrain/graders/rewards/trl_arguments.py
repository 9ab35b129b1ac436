"""The arguments of a reward function: what TRL 1.16's GRPOTrainer passes, by name.

| name                      | value                                                                             |
|---------------------------|-----------------------------------------------------------------------------------|
| `prompts`, `completions`  | lists of texts, or of messages (below)                                            |
| `completion_ids`          | a list of token ids per completion                                                |
| every column of all rows  | a list of values, one per completion; not `prompt`, not `completion`              |
| `answer`, `solution`      | in rows without such a column: the problem's reference                            |
| `trainer_state`           | None: no trainer runs while completions are graded                                |
| `log_extra(column, list)` | `log_extra("extracted_answer", [...])` sets the answers read; the rest is dropped |
| `log_metric(name, value)` | dropped                                                                           |

A function without `**kwargs` gets only what it names.

**Messages or text.** TRL passes `[{"role": "assistant", "content": text}]` for a completion if and only if the
dataset's prompts are conversational. Here: if every row has a column `prompt` or `messages` that holds messages.
TRL's own functions read nothing else, so functions of the package `trl` always get messages.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from selftrain.errors import GraderError
from selftrain.types import Problem, Response

RewardFunction = Callable[..., Any]
Row = tuple[Response, Problem]

LOGGERS = ("log_extra", "log_metric")
_RESERVED = frozenset({"prompt", "completion", "prompts", "completions", "completion_ids", "trainer_state", *LOGGERS})


def unwrapped(function: RewardFunction) -> RewardFunction:
    """The function inside `functools.partial`."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def name_of(function: RewardFunction) -> str:
    return str(getattr(unwrapped(function), "__name__", type(function).__name__))


class Arguments:
    """Builds the keyword arguments for one function."""

    def __init__(self, function: RewardFunction) -> None:
        self._name = name_of(function)
        module = str(getattr(unwrapped(function), "__module__", ""))
        self._always_messages = module.split(".")[0] == "trl"
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except ValueError:  # some built-ins have no signature
            parameters = [inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)]
        self._takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
        variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        self._named = {p.name for p in parameters if p.kind not in variadic}
        self._required = [p.name for p in parameters if p.kind not in variadic and p.default is p.empty]

    def of(self, rows: Sequence[Row], **loggers: Any) -> dict[str, Any]:
        problems = [problem for _, problem in rows]
        as_messages = self._always_messages or all(_messages(problem) for problem in problems)
        arguments: dict[str, Any] = {
            "prompts": [_prompt(response, problem, as_messages) for response, problem in rows],
            "completions": [_completion(response, as_messages) for response, _ in rows],
            "completion_ids": [list(response.token_ids) for response, _ in rows],
            "trainer_state": None,
            **loggers,
            **self._columns(problems),
        }
        return {name: value for name, value in arguments.items() if self._takes_any or name in self._named}

    def _columns(self, problems: Sequence[Problem]) -> dict[str, list[Any]]:
        by_row = [_columns_of(problem) for problem in problems]
        for name in self._required:
            for row, columns in enumerate(by_row):
                if name not in columns and name not in _RESERVED:
                    raise GraderError(
                        f"Reward function {self._name} needs the column {name!r}; row {row} "
                        f"(problem {problems[row].id}) has {', '.join(map(repr, columns)) or 'no column'}.",
                        "Columns are passed by name, as TRL does.",
                        f"Give every row of the dataset a column {name!r}, or give the parameter a default.",
                    )
        return {name: [columns[name] for columns in by_row] for name in by_row[0] if all(name in c for c in by_row)}


def _columns_of(problem: Problem) -> dict[str, Any]:
    fallback = {} if problem.reference is None else dict.fromkeys(("answer", "solution"), problem.reference)
    return {name: value for name, value in {**fallback, **problem.columns}.items() if name not in _RESERVED}


def _messages(problem: Problem) -> list[Any] | None:
    """The row's conversational prompt; None if it has none."""
    for name in ("prompt", "messages"):
        value = problem.columns.get(name)
        if isinstance(value, list) and value and isinstance(value[0], dict) and "role" in value[0]:
            return value
    return None


def _prompt(response: Response, problem: Problem, as_messages: bool) -> Any:
    if not as_messages:
        return response.prompt_text
    return _messages(problem) or [{"role": "user", "content": response.prompt.question}]


def _completion(response: Response, as_messages: bool) -> Any:
    return [{"role": "assistant", "content": response.text}] if as_messages else response.text
