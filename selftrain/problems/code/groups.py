"""Splits the assertions or cases of a task into two groups: one gives reward, one is held back."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from selftrain.problems.code.task import Case, NoTestsError, Tests

_HELPERS = (ast.FunctionDef, ast.ClassDef)


def _held_back(count: int, share: float) -> set[int]:
    """Indices spread over the list; never the first, which is often the one that is shown."""
    wanted = max(1, round(count * share)) if count > 1 and share > 0 else 0
    wanted = min(wanted, count - 1)
    return {count - 1 - (i * (count - 1)) // wanted for i in range(wanted)} if wanted else set()


def _groups(tests: Sequence[object], share: float) -> tuple[list[int], list[int]]:
    """The indices of the tests that give reward and of those held back.

    Equal tests go together: some data repeats a test, and a rewarded one must not be held back as well.
    """
    first = [tests.index(test) for test in tests]
    distinct = list(dict.fromkeys(first))
    held = {distinct[i] for i in _held_back(len(distinct), share)}
    return [i for i, one in enumerate(first) if one not in held], [i for i, one in enumerate(first) if one in held]


def split_assertions(tree: ast.Module, body: list[ast.stmt], share: float) -> tuple[Tests, Tests | None]:
    """The test twice, each time with some of its assertions; `body` is the list in `tree` that holds them."""
    asserting = [i for i, node in enumerate(body) if _asserts(node)]
    if not asserting:  # as in EvalPlus, whose tests call a helper that asserts
        helpers = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and _holds_assert(node)}
        asserting = [i for i, node in enumerate(body) if not isinstance(node, _HELPERS) and _calls(node, helpers)]
    if not asserting:
        raise NoTestsError("its test asserts nothing")

    def only(group: list[int]) -> Tests:
        # Statements without an assertion (set-up, imports) stay in both.
        whole, others = list(body), set(asserting) - {asserting[i] for i in group}
        body[:] = [node for i, node in enumerate(whole) if i not in others]
        code = ast.unparse(tree)
        body[:] = whole
        return Tests(len(group), code)

    rewarded, held = _groups([_without_message(body[i]) for i in asserting], share)
    return only(rewarded), only(held) if held else None


def split_cases(cases: Sequence[Case], share: float) -> tuple[Tests, Tests | None]:
    rewarded, held = (tuple(cases[i] for i in group) for group in _groups(cases, share))
    return Tests(len(rewarded), cases=rewarded), Tests(len(held), cases=held) if held else None


def _without_message(node: ast.stmt) -> str:
    return ast.dump(node.test if isinstance(node, ast.Assert) else node)


def _asserts(node: ast.stmt) -> bool:
    return not isinstance(node, _HELPERS) and _holds_assert(node)


def _holds_assert(node: ast.stmt) -> bool:
    # `assert True` tests nothing; some tests of HumanEval end in it.
    return any(isinstance(inner, ast.Assert) and not isinstance(inner.test, ast.Constant) for inner in ast.walk(node))


def _calls(node: ast.stmt, names: set[str]) -> bool:
    calls = (inner.func for inner in ast.walk(node) if isinstance(inner, ast.Call))
    return any(isinstance(function, ast.Name) and function.id in names for function in calls)
