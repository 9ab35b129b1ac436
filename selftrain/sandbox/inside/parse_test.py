"""What a test needs from the program, read from its syntax tree."""

from __future__ import annotations

import ast
import builtins
from dataclasses import dataclass


@dataclass(frozen=True)
class ParsedTest:
    """
    Args:
        modules: of the standard library, used without import (the reference solution imported them).
        foreign: names that only the program defines.
        calls_check: whether `check` still has to be called.
        weak: whether the test needs more than plain calls.
    """

    tree: ast.Module
    modules: tuple[str, ...]
    foreign: tuple[str, ...]
    calls_check: bool
    weak: bool


def parse_test(test_code: str, entry_point: str, known: set[str], loaded: set[str]) -> ParsedTest:
    """
    Args:
        known: names that the setup defines.
        loaded: names of loaded modules.

    Raises:
        SyntaxError: the test is not Python.
    """
    tree = ast.parse(test_code)
    entry = entry_point if "." not in entry_point else "candidate"
    check = next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "check"), None)
    aliases = {entry}
    if check is not None and check.args.args:
        aliases.add(check.args.args[0].arg)
    free = _free(tree) - known - {entry} - set(dir(builtins))
    modules = {name for name in free & loaded if _used_as_module(tree, name)}
    foreign = tuple(sorted(free - modules))
    calls_check = check is not None and not any(_is_call_of(node, {"check"}) for node in tree.body)
    weak = bool(foreign) or _used_otherwise(tree, aliases)
    tree = ast.fix_missing_locations(_InPlace(aliases | set(foreign)).visit(tree))
    return ParsedTest(tree, tuple(sorted(modules)), foreign, calls_check=calls_check, weak=weak)


def _free(tree: ast.Module) -> set[str]:
    """Names that are read somewhere and bound nowhere. Scopes are ignored: a name bound anywhere is the test's own."""
    bound: set[str] = set()
    loaded: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (loaded if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
    return loaded - bound


def _used_as_module(tree: ast.Module, name: str) -> bool:
    """Whether every use is `name.attribute`."""
    owners = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return all(id(node) in owners for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name)


def _is_call_of(node: ast.AST, names: set[str]) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in names


def _used_otherwise(tree: ast.Module, names: set[str]) -> bool:
    """Whether the program's function is passed around or has attributes read, instead of only being called."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if _is_call_of(node, {"check"}):  # check(f), which starts such a test
            called |= {id(argument) for argument in node.value.args}  # type: ignore[attr-defined]
    uses = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in names)
    return any(isinstance(node.ctx, ast.Load) and id(node) not in called for node in uses)


class _InPlace(ast.NodeTransformer):
    """`f(x)` as a statement becomes `f.in_place(x)`.

    Only there are changed arguments copied back. Otherwise `assert f(x) == right(x)` would compute the right value from
    an x that the program has changed to its advantage.
    """

    def __init__(self, names: set[str]) -> None:
        self._names = names

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        if _is_call_of(node, self._names) and isinstance(node.value, ast.Call):
            node.value.func = ast.Attribute(node.value.func, "in_place", ast.Load())
        return node
