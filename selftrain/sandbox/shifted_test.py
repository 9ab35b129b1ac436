"""A test with its expected values shifted, which no honest program passes."""

from __future__ import annotations

import ast
from typing import Any

from selftrain.sandbox.jobs import CheckJob


def shift_expected_values(job: CheckJob) -> str | None:
    """The job's test, shifted; None if it has no assert that depends on the program's answers."""
    tree = ast.parse(job.test_code)
    names = {job.entry_point.split(".")[0], "candidate"}
    for top in tree.body:
        if isinstance(top, ast.FunctionDef) and top.name == "check" and top.args.args:
            names.add(top.args.args[0].arg)
    for node in ast.walk(tree):  # variables that hold the program's answers: solution = candidate(x)
        if isinstance(node, ast.Assign) and _mentions(node.value, names):
            names |= {name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    shifter = _Shifter(names)
    shifted = ast.fix_missing_locations(shifter.visit(tree))
    return ast.unparse(shifted) if shifter.count else None


def _mentions(node: ast.AST, names: set[str]) -> bool:
    return any(isinstance(child, ast.Name) and child.id in names for child in ast.walk(node))


def _shift_constant(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float, complex)):
        return value + 1 if value + 1 != value else value * 2
    if isinstance(value, str):
        return value + "~"
    if isinstance(value, bytes):
        return value + b"~"
    return "~"


class _Shifter(ast.NodeTransformer):
    """In asserts that mention the program's answers: shifts the expected side of a comparison, else negates the assert.

    Args:
        names: of the program and of variables that hold its answers.
    """

    def __init__(self, names: set[str]) -> None:
        self._names, self.count = names, 0

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        if _mentions(node.test, self._names):
            node.test = self._shifted(node.test)
            self.count += 1
        return node

    def _shifted(self, test: ast.expr) -> ast.expr:
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            left, right = test.left, test.comparators[0]
            if isinstance(test.ops[0], (ast.Eq, ast.Is)):
                if _mentions(left, self._names) and not _mentions(right, self._names):
                    return ast.Compare(left, test.ops, [self._different(right)])
                if _mentions(right, self._names) and not _mentions(left, self._names):
                    return ast.Compare(self._different(left), test.ops, [right])
            elif _mentions(left, self._names) and not _mentions(right, self._names):
                moved = self._moved(left)  # abs(f(x) - 2.5) < 1e-6: 2.5 moves, the tolerance stays
                if moved is not None:
                    return ast.Compare(moved, test.ops, test.comparators)
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return test.operand
        return ast.UnaryOp(ast.Not(), test)

    def _different(self, expected: ast.expr) -> ast.expr:
        """An expression that differs from `expected`, whatever that is; another constant for a constant."""
        try:
            value = ast.literal_eval(expected)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            is_literal, value = False, None
        else:
            is_literal = True
        if is_literal and not isinstance(value, (list, tuple, set, dict)):
            return ast.Constant(_shift_constant(value))
        if isinstance(expected, (ast.List, ast.Tuple, ast.Set)):
            expected.elts.append(ast.Constant("~"))
            return expected
        if isinstance(expected, ast.Dict):
            expected.keys.append(ast.Constant("~"))
            expected.values.append(ast.Constant("~"))
            return expected
        return ast.Tuple([expected, ast.Constant("~")], ast.Load())

    def _moved(self, node: ast.expr) -> ast.expr | None:
        """`abs(f(x) - c)`, or `f(x) - c`, with a large number added inside; None for anything else."""
        if isinstance(node, ast.Call) and len(node.args) == 1 and not self._is_program(node.func):
            inner = self._moved(node.args[0])
            return None if inner is None else ast.Call(node.func, [inner], [])
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
            return ast.BinOp(node, ast.Add(), ast.Constant(1 << 20))
        return None

    def _is_program(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in self._names
