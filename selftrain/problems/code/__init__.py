"""Programming tasks: what a row of HumanEval, MBPP or APPS asks for, and the tests that decide.

The tests of a task are two disjoint groups. One gives the reward; the other is held back: it never does, so that
programs that are right only on the tests they are paid for can be seen. Evaluations ask for both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from selftrain.problems.code.layouts import LAYOUTS
from selftrain.problems.code.task import Case, CodeTask, Kind, NoTestsError, Tests

__all__ = ["Case", "CodeTask", "Kind", "NoTestsError", "Tests", "looks_like_code", "read_task"]


def looks_like_code(columns: Iterable[str]) -> bool:
    """Whether these are the columns of a known layout."""
    found = set(columns)
    return any(wanted <= found for wanted, _ in LAYOUTS)


def read_task(columns: Mapping[str, Any], held_back: float = 0.25) -> CodeTask:
    """The task in a row as it came.

    Args:
        held_back: share of the tests that never give reward; at least one where there are two and this is above 0.

    Raises:
        NoTestsError: it has none. ValueError: it is no task, or its tests cannot be read; the message says why.
    """
    for wanted, read in LAYOUTS:
        if wanted <= columns.keys():
            return read(columns, held_back)
    raise ValueError(f"the columns {', '.join(columns)} are those of no known layout (HumanEval, MBPP, APPS)")
