"""Programming tasks among the rows: the reference is all tests of a task, for people to read.

A judge does not read it: it has the row, and `read_task`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from selftrain.problems.code import read_task

#: The column that holds the tests, by the source of a task.
_TESTS = {"humaneval": "test", "mbpp": "test_list", "apps": "input_output"}


def read_code(columns: Mapping[str, Any]) -> tuple[str, str, str | None]:
    """(question, reference, solution) of a row that is a programming task.

    Raises NoTestsError where it has no test, and ValueError, saying what is wrong, where it cannot be read.
    """
    task = read_task(columns)
    return task.question, _as_text(columns[_TESTS[task.source]]), task.solution


def without_set(key: str, name: str) -> str:
    """A task's id without the set's own name: "HumanEval/0" of the set "humaneval/test" is "0"."""
    first, _, rest = key.partition("/")
    return rest if rest and first.lower() in name.lower().split("/") else key


def _as_text(tests: Any) -> str:
    if hasattr(tests, "tolist"):  # an array of Arrow's
        tests = tests.tolist()
    if isinstance(tests, str):
        return tests.replace("\r\n", "\n").strip()
    if isinstance(tests, Mapping):
        return json.dumps(tests, ensure_ascii=False)
    return "\n".join(str(test).replace("\r\n", "\n").strip() for test in tests)
