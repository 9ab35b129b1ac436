"""The impossible twin of a test: the same test with its expected values shifted, which no honest program passes."""

from __future__ import annotations

import ast
from typing import Any

from selftrain.sandbox.jobs import CheckJob


def impossible(job: CheckJob) -> str | None:
    """The twin of the test of a job; None where it has no assert that asks the program anything."""
    tree = ast.parse(job.test_code)
    names = {job.entry_point.split(".")[0], "candidate"}
    for top in tree.body:
        if isinstance(top, ast.FunctionDef) and top.name == "check" and top.args.args:
            names.add(top.args.args[0].arg)
    for node in ast.walk(tree):  # what comes of the program's answers: solution = candidate(x)
        if isinstance(node, ast.Assign) and _asks(node.value, names):
            names |= {one.id for target in node.targets for one in ast.walk(target) if isinstance(one, ast.Name)}
    shift = _Shift(names)
    twin = ast.fix_missing_locations(shift.visit(tree))
    return ast.unparse(twin) if shift.shifted else None


def _asks(node: ast.AST, names: set[str]) -> bool:
    return any(isinstance(one, ast.Name) and one.id in names for one in ast.walk(node))


def _moved(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float, complex)):
        return value + 1 if value + 1 != value else value * 2
    if isinstance(value, str):
        return value + "~"
    if isinstance(value, bytes):
        return value + b"~"
    return "~"


class _Shift(ast.NodeTransformer):
    """Works on asserts that ask the program: moves what a comparison expects, else turns the assert round."""

    def __init__(self, names: set[str]) -> None:
        self._names, self.shifted = names, 0

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        if _asks(node.test, self._names):
            node.test = self._twin(node.test)
            self.shifted += 1
        return node

    def _twin(self, test: ast.expr) -> ast.expr:
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            left, right = test.left, test.comparators[0]
            if isinstance(test.ops[0], (ast.Eq, ast.Is)):
                if _asks(left, self._names) and not _asks(right, self._names):
                    return ast.Compare(left, test.ops, [self._other(right)])
                if _asks(right, self._names) and not _asks(left, self._names):
                    return ast.Compare(self._other(left), test.ops, [right])
            elif _asks(left, self._names) and not _asks(right, self._names):
                near = self._near(left)  # abs(f(x) - 2.5) < 1e-6: 2.5 moves, the tolerance stays
                if near is not None:
                    return ast.Compare(near, test.ops, test.comparators)
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return test.operand
        return ast.UnaryOp(ast.Not(), test)

    def _other(self, expected: ast.expr) -> ast.expr:
        """An expression that differs from `expected` whatever that is; nothing but another constant for a constant."""
        try:
            value = ast.literal_eval(expected)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            value = None
            plain = False
        else:
            plain = True
        if plain and not isinstance(value, (list, tuple, set, dict)):
            return ast.Constant(_moved(value))
        if isinstance(expected, (ast.List, ast.Tuple, ast.Set)):
            expected.elts.append(ast.Constant("~"))
            return expected
        if isinstance(expected, ast.Dict):
            expected.keys.append(ast.Constant("~"))
            expected.values.append(ast.Constant("~"))
            return expected
        return ast.Tuple([expected, ast.Constant("~")], ast.Load())

    def _near(self, node: ast.expr) -> ast.expr | None:
        """`abs(f(x) - c)`, or `f(x) - c`, with c moved by one."""
        if isinstance(node, ast.Call) and len(node.args) == 1 and not _is_asked(node.func, self._names):
            inner = self._near(node.args[0])
            return None if inner is None else ast.Call(node.func, [inner], [])
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
            return ast.BinOp(node, ast.Add(), ast.Constant(1 << 20))
        return None


def _is_asked(node: ast.expr, names: set[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in names
