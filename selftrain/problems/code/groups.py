"""The assertions or cases of a task in two groups: one gives reward, one is held back."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from selftrain.problems.code.task import Case, NoTestsError, Tests


def _held_back(count: int, share: float) -> set[int]:
    """Places spread over the list; never the first, which is often the one that is shown."""
    wanted = max(1, round(count * share)) if count > 1 and share > 0 else 0
    wanted = min(wanted, count - 1)
    return {count - 1 - (place * (count - 1)) // wanted for place in range(wanted)} if wanted else set()


def _groups(tests: Sequence[object], share: float) -> tuple[list[int], list[int]]:
    """The places of the tests that give reward and of those held back.

    Equal tests go together: some data repeats one, and what is rewarded must not be what is held back.
    """
    first = [tests.index(test) for test in tests]
    distinct = list(dict.fromkeys(first))
    kept = {distinct[place] for place in _held_back(len(distinct), share)}
    places = range(len(tests))
    return [place for place in places if first[place] not in kept], [place for place in places if first[place] in kept]


def split_assertions(tree: ast.Module, body: list[ast.stmt], share: float) -> tuple[Tests, Tests | None]:
    """A test twice, each time with some of its assertions; `body` is the list of `tree` that holds them."""
    asserting = [place for place, node in enumerate(body) if _asserts(node)]
    if not asserting:
        raise NoTestsError("its test asserts nothing")

    def only(group: list[int]) -> Tests:
        # Whatever asserts nothing (set up, imports) stays in both.
        whole, others = list(body), set(asserting) - {asserting[place] for place in group}
        body[:] = [node for place, node in enumerate(whole) if place not in others]
        code = ast.unparse(tree)
        body[:] = whole
        return Tests(len(group), code)

    rewarded, kept = _groups([_said(body[place]) for place in asserting], share)
    return only(rewarded), only(kept) if kept else None


def split_cases(cases: Sequence[Case], share: float) -> tuple[Tests, Tests | None]:
    rewarded, kept = (tuple(cases[place] for place in group) for group in _groups(cases, share))
    return Tests(len(rewarded), cases=rewarded), Tests(len(kept), cases=kept) if kept else None


def _said(node: ast.stmt) -> str:
    """What an assertion says, its message aside."""
    return ast.dump(node.test if isinstance(node, ast.Assert) else node)


def _asserts(node: ast.stmt) -> bool:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return False  # a helper
    # `assert True` says nothing of a program; some tests of HumanEval end in it.
    return any(isinstance(inner, ast.Assert) and not isinstance(inner.test, ast.Constant) for inner in ast.walk(node))
