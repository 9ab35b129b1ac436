"""The published layouts of programming tasks, from their real columns."""

from __future__ import annotations

import ast
import builtins
import json
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from selftrain.problems.code.groups import split_assertions, split_cases
from selftrain.problems.code.task import Case, CodeTask, NoTestsError

#: APPS takes these for granted; its own runner puts them (and numpy) in front of every program.
APPS_IMPORTS = """\
import sys, time, itertools, collections, functools, random, heapq, math, re, string, bisect, copy, operator
from itertools import accumulate, product, permutations, combinations, chain
from collections import Counter, OrderedDict, deque, defaultdict, ChainMap
from functools import lru_cache, reduce, cmp_to_key
from math import gcd, ceil, floor, sqrt, log, inf
from heapq import heappush, heappop, heapify
from bisect import bisect_left, bisect_right, insort
from typing import Any, Dict, List, Optional, Set, Tuple, Union
"""


def _humaneval(columns: Mapping[str, Any], held_back: float) -> CodeTask:
    prompt, entry, test = (_text(columns, name) for name in ("prompt", "entry_point", "test"))
    body = columns.get("canonical_solution")
    tree = _parsed(test, "test")
    check = next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "check"), None)
    if check is None:
        raise NoTestsError("its test defines no function check(candidate)")
    rewarded, kept = split_assertions(tree, check.body, held_back)
    solution = prompt + str(body) if body else None
    return CodeTask("humaneval", "check", prompt, entry, _whole(prompt), prompt, rewarded, kept, solution)


def _mbpp(columns: Mapping[str, Any], held_back: float) -> CodeTask:
    asks = _text(columns, "text" if "text" in columns else "prompt").strip()
    tests = [str(test).replace("\r\n", "\n").strip() for test in _list(columns, "test_list")]
    # Two of the programs end in a lone carriage return.
    solution = str(columns["code"]).replace("\r\n", "\n").rstrip("\r") if columns.get("code") else None
    if not tests:
        raise NoTestsError("its test_list is empty")
    # In front of the tests, not beside them: it may build what only the program defines.
    setup = [str(columns.get("test_setup_code") or ""), *(map(str, _list(columns, "test_imports")))]
    tree = _parsed("\n".join([*setup, *tests]).replace("\r\n", "\n"), "test_list")
    rewarded, kept = split_assertions(tree, tree.body, held_back)
    # The first test is always rewarded: it is shown, for the name of the function stands nowhere else.
    question = f"{asks}\nYour code should pass this test:\n{tests[0]}"
    return CodeTask("mbpp", "check", question, _called(tree, solution), "", "", rewarded, kept, solution)


def _apps(columns: Mapping[str, Any], held_back: float) -> CodeTask:
    """The prompt is that of the paper of APPS: its section 3 and the authors' code."""
    tests = columns["input_output"]
    if isinstance(tests, str):
        tests = _json(tests, "input_output") if tests.strip() else None
    if not tests:
        raise NoTestsError("its input_output is empty")
    if not isinstance(tests, Mapping):
        raise ValueError(f"its input_output is a {type(tests).__name__}, not an object")
    inputs, outputs, entry = tests.get("inputs") or [], tests.get("outputs") or [], tests.get("fn_name")
    if not isinstance(inputs, list) or not isinstance(outputs, list) or len(inputs) != len(outputs):
        raise ValueError("its inputs and outputs are not two lists of one length")
    if not inputs:
        raise NoTestsError("its input_output has no test")
    read = _call_case if entry else _stdin_case
    cases = [read(given, expected) for given, expected in zip(inputs, outputs, strict=True)]
    rewarded, kept = split_cases(cases, held_back)
    starter = str(columns.get("starter_code") or "")
    style = "Use Call-Based format" if entry else "Use Standard Input format"
    asks = _text(columns, "question").strip()
    question = "\n".join(part for part in (f"QUESTION:\n{asks}", starter.strip("\n"), style, "ANSWER:") if part)
    solutions = columns.get("solutions")
    solutions = _json(solutions, "solutions") if isinstance(solutions, str) and solutions.strip() else solutions
    first = str(solutions[0]) if isinstance(solutions, list) and solutions else None
    return CodeTask(
        "apps", "call" if entry else "stdin", question, str(entry) if entry else None, APPS_IMPORTS, "",
        rewarded, kept, first,
    )  # fmt: skip


def _call_case(given: Any, expected: Any) -> Case:
    if not isinstance(given, list):
        raise ValueError(f"the arguments of a call are a {type(given).__name__}, not a list")
    # JSON has no integer keys; the authors' runner turns them back as well.
    return Case([_integer_keys(argument) for argument in given], expected)


def _integer_keys(value: Any) -> Any:
    if isinstance(value, dict) and value and all(re.fullmatch(r"-?\d{1,18}", key) for key in value):
        return {int(key): item for key, item in value.items()}
    return value


def _stdin_case(given: Any, expected: Any) -> Case:
    return Case(_as_lines(given), _as_lines(expected))


def _as_lines(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(map(str, value))
    if not isinstance(value, str):
        raise ValueError(f"the input or output of a program is a {type(value).__name__}, neither text nor lines")
    return value


def _called(tree: ast.Module, solution: str | None) -> str:
    """The function that a list of assertions is about: the outermost call by name, of most of them.

    Not the call that is made most: `assert longest([Pair(1, 2), Pair(3, 4)]) == 2` is about `longest`.
    """
    defined: set[str] = set()
    if solution:
        try:
            defined = {node.name for node in ast.walk(_quietly(solution)) if isinstance(node, ast.FunctionDef)}
        except SyntaxError:
            defined = set()
    own = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    asserting = [node for node in tree.body if any(isinstance(inner, ast.Assert) for inner in ast.walk(node))]
    called = [[name for name in _names(node) if name not in own and not hasattr(builtins, name)] for node in asserting]
    ours = [[name for name in names if name in defined] for names in called]
    found = Counter(names[0] for names in ours if names) or Counter(names[0] for names in called if names)
    if not found:
        raise ValueError("its tests call no function by name")
    return found.most_common(1)[0][0]


def _names(statement: ast.stmt) -> list[str]:
    """What a statement calls by name, outermost first."""
    calls = (node.func for node in ast.walk(statement) if isinstance(node, ast.Call))
    return [function.id for function in calls if isinstance(function, ast.Name)]


def _whole(prompt: str) -> str:
    """The beginning of a function as a program of its own; nothing where it is none even so."""
    for code in (prompt, f"{prompt.rstrip()}\n    pass\n"):
        with suppress(SyntaxError):
            _quietly(code)
            return code
    return ""


def _parsed(code: str, column: str) -> ast.Module:
    try:
        return _quietly(code)
    except SyntaxError as error:
        raise ValueError(f"its {column} is no Python: {error}") from None


def _quietly(code: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "\d" and its like in other people's code
        return ast.parse(code)


def _text(columns: Mapping[str, Any], name: str) -> str:
    value = columns.get(name)
    if value is None or (isinstance(value, str) and not value.strip()):
        raise ValueError(f"its {name} is empty")
    if not isinstance(value, str):
        raise ValueError(f"its {name} is a {type(value).__name__}, not a text")
    return value.replace("\r\n", "\n")


def _list(columns: Mapping[str, Any], name: str) -> Sequence[Any]:
    value: Any = columns.get(name)
    if hasattr(value, "tolist"):  # an array of Arrow's
        value = value.tolist()
    if isinstance(value, str) and value.strip():
        value = _json(value, name)
    if value is None or value == "":
        return []
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"its {name} is a {type(value).__name__}, not a list")
    return value


def _json(text: str, column: str) -> Any:
    with _any_number_of_digits():
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"its {column} is no JSON: {error}") from None


@contextmanager
def _any_number_of_digits() -> Iterator[None]:
    """Some tests of APPS are about integers longer than Python reads by default."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(before)


#: A layout, the columns that tell it, and its reader.
LAYOUTS: tuple[tuple[frozenset[str], Callable[[Mapping[str, Any], float], CodeTask]], ...] = (
    (frozenset({"prompt", "entry_point", "test"}), _humaneval),
    (frozenset({"text", "test_list"}), _mbpp),
    (frozenset({"prompt", "test_list"}), _mbpp),
    (frozenset({"question", "input_output"}), _apps),
)
