"""What a caller may count on, job by job."""

from __future__ import annotations

import math
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from selftrain.errors import SettingsError
from selftrain.sandbox import CallJob, CheckJob, Limits, Sandbox, StdinJob, open_sandbox
from tests.sandbox.conftest import holds


def run(sandbox: Sandbox, program: str, stdin: str = "", limits: Limits | None = None):
    return sandbox.run_stdin([StdinJob(program, stdin)], limits)[0]


def call(sandbox: Sandbox, program: str, *arguments: object, entry: str = "f"):
    return sandbox.call([CallJob(program, entry, (arguments,))])[0]


def check(sandbox: Sandbox, program: str, test: str, entry: str = "f", setup: str = ""):
    return sandbox.check([CheckJob(program, entry, test, setup)])[0]


@pytest.mark.parametrize(
    ("program", "printed"),
    [
        ("print(input() + input())", "ab\n"),
        ("import sys; print(sys.stdin.read().split())", "['a', 'b']\n"),
        ("print(open(0).read(), end='')", "a\nb\n"),
        ("import os; print(os.read(0, max(os.fstat(0).st_size, 8192)))", "b'a\\nb\\n'\n"),
        ("import io, os; print(io.BytesIO(os.read(0, os.fstat(0).st_size)).readline())", "b'a\\n'\n"),
        ("print(1)\nexit()", "1\n"),
        ("print(1)\nimport sys; sys.exit(3)", "1\n"),
        ("if __name__ == '__main__': print('main')", "main\n"),
        ("import threading\nthreading.Thread(target=lambda: print('thread')).start()", "thread\n"),
        ("import atexit; atexit.register(print, 'end')", "end\n"),
        ("from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\nprint(A(1))", "A(x=1)\n"),
        ("import sys, math, heapq, bisect, collections, itertools, functools, re, decimal, random\nprint(1)", "1\n"),
        ("import time; print(time.localtime().tm_zone)", "UTC\n"),
        ("print('é\\u200b')", "é\u200b\n"),
    ],
)
def test_honest_programs_run(sandbox: Sandbox, program: str, printed: str) -> None:
    outcome = run(sandbox, program, "a\nb\n")
    assert (outcome.status, outcome.stdout) == ("ran", printed), outcome


def test_chance_and_the_order_of_sets_are_the_same_every_time(sandbox: Sandbox) -> None:
    program = "import random; print(random.random(), list({'a', 'b', 'c', 'd'}), hash('x'))"
    assert len({one.stdout for one in sandbox.run_stdin([StdinJob(program)] * 8)}) == 1


def test_an_exception_is_reported_and_the_output_kept(sandbox: Sandbox) -> None:
    outcome = run(sandbox, "print(1)\n1 / 0")
    assert (outcome.status, outcome.stdout) == ("crashed", "1\n")
    assert outcome.reason == "ZeroDivisionError: division by zero"
    assert run(sandbox, "print(").status == "crashed"


def test_limits_hold(sandbox: Sandbox) -> None:
    small = Limits(seconds=0.3, output_bytes=1000, memory_bytes=128 << 20)
    assert run(sandbox, "while True: pass", limits=small).status == "timeout"
    assert run(sandbox, "print('x' * 10**6)", limits=small).status == "refused"
    assert len(run(sandbox, "print('x' * 10**6)", limits=small).stdout) == 1000
    assert run(sandbox, "print('x' * 999)", limits=small).status == "ran"
    assert "MemoryError" in run(sandbox, "x = bytearray(1 << 28)", limits=small).reason
    for program in ("while True: pass", "import time; time.sleep(100)", "while True: __import__('time').sleep(0.001)"):
        over = run(sandbox, program, limits=Limits(seconds=0.3))
        assert (over.status, over.reason) == ("timeout", "over 0.3 s"), program
        assert 0.3 <= over.own_seconds < 0.6


def test_a_limit_is_above_zero() -> None:
    with pytest.raises(SettingsError):
        Limits(seconds=0)


VALUES = [
    None, True, 0, -1, 2**63, -(2**200), 1.5, math.inf, "", "a\n\ud800\0", b"\x00\xff", 1j, [], [1, [2]], (), (1, (2,)),
    {1, 2}, frozenset({3}), {}, {"a": 1, (1, 2): [3]}, {"t": [1]}, {"d": 1, "v": 2}, int, [None, {"i": "ff"}],
]  # fmt: skip


def test_plain_data_comes_back_as_it_went(sandbox: Sandbox) -> None:
    outcome = sandbox.call([CallJob("def f(x): return x", "f", [(value,) for value in VALUES])])[0]
    assert outcome.status == "ran" and outcome.calls == len(VALUES)
    for value, back in zip(VALUES, outcome.values, strict=True):
        assert type(back) is type(value) and back == value
    assert math.isnan(call(sandbox, "def f(): return float('nan')").values[0])


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("map(str, [1, 2])", ["1", "2"]),
        ("(x for x in range(3))", [0, 1, 2]),
        ("range(3)", [0, 1, 2]),
        ("{1: 2}.items()", [(1, 2)]),
        ("collections.Counter('aab')", {"a": 2, "b": 1}),
        ("collections.defaultdict(list, a=[1])", {"a": [1]}),
        ("collections.deque([1])", [1]),
    ],
)
def test_what_is_nearly_plain_is_made_plain(sandbox: Sandbox, value: str, seen: object) -> None:
    assert call(sandbox, f"import collections\ndef f(): return {value}").values == (seen,)


#: Values that arrive as what they were, in a test.
EXACT = [
    "range(3)", "deque([1, 2])", "{1: 2}.keys()", "{1: 2}.items()", "Fraction(1, 3)", "Decimal('0.10')",
    "bytearray(b'a')",
    "date(2020, 2, 29)", "datetime(2020, 2, 29, 12, tzinfo=timezone.utc)", "time(1, 2, 3)", "timedelta(1, 2)",
    "array('d', [1.5])", "[Fraction(1), {'a': deque([range(2)])}]", "Decimal(10) ** 300",
]  # fmt: skip
IMPORTS = """
from array import array
from collections import Counter, deque, namedtuple
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
"""


@pytest.mark.parametrize("value", EXACT)
def test_types_of_the_library_cross_as_what_they_are(sandbox: Sandbox, value: str) -> None:
    test = f"{IMPORTS}assert f() == {value}\nassert type(f()) is type({value})\nassert g({value}) is True"
    program = f"{IMPORTS}def f(): return {value}"
    both = f"{program}\ndef g(x): return x == {value} and type(x) is type({value})"
    assert check(sandbox, program, test.rpartition("\n")[0]).status == "passed"
    assert check(sandbox, both, f"{IMPORTS}assert g({value}) is True", "g").status == "passed"
    wrong = check(sandbox, program, f"{IMPORTS}assert f() == [{value}]")
    assert wrong.status == "failed"


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("namedtuple('P', 'a b')(1, 2)", (1, 2)),
        ("IntEnum('E', 'A')(1)", 1),
        ("type('S', (str,), {'__eq__': lambda *a: True, '__str__': lambda s: 'x', '__hash__': None})('a')", "a"),
        ("type('D', (dict,), {'__missing__': lambda *a: 1})(a=1)", {"a": 1}),
        ("type('I', (int,), {'__eq__': lambda *a: True, '__hash__': None})(5)", 5),
    ],
)
def test_a_subclass_is_taken_for_its_base_without_its_methods(sandbox: Sandbox, value: str, seen: object) -> None:
    outcome = call(sandbox, f"{IMPORTS}def f(): return {value}")
    assert outcome.values == (seen,) and type(outcome.values[0]) is type(seen)


@pytest.mark.parametrize(
    "value", ["object()", "lambda: 1", "__import__('re').compile('a')", "type('A', (), {'__eq__': lambda *a: True})()"]
)
def test_what_cannot_leave_its_process_is_unjudged(sandbox: Sandbox, value: str) -> None:
    program = f"def f(): return {value}"
    (answer,) = call(sandbox, program).answers
    assert answer.unjudged and answer.error and answer.error.startswith("unjudged: a ")
    outcome = check(sandbox, program, "assert f() == 1")
    assert outcome.status == "unjudged" and "returned an object" in outcome.reason
    earlier = "def f(n): return 2 if n else object()"
    assert check(sandbox, earlier, "assert f(1) == 1\nassert f(0) == 1").status == "failed"


@pytest.mark.parametrize(
    "value",
    ["__import__('itertools').count()", "[[]] * 10**6", "eval('[' * 150 + ']' * 150)", "1 << 10**6", "range(10**12)"],
)
def test_what_is_too_large_is_refused(sandbox: Sandbox, value: str) -> None:
    outcome = call(sandbox, f"def f(): return {value}")
    assert outcome.status == "refused" or (outcome.answers[0].error or "").startswith("refused: ")
    assert not any(answer.unjudged for answer in outcome.answers)


def test_an_endless_iterator_gives_a_test_its_first_items(sandbox: Sandbox) -> None:
    program = "import itertools\ndef f(): return itertools.count()"
    first = "from itertools import islice\nassert list(islice(f(), 5)) == [0, 1, 2, 3, 4]"
    assert check(sandbox, program, first).status == "passed"
    assert check(sandbox, program, "assert f() == [0]").status == "failed"
    assert check(sandbox, program, "assert list(f()) == [0]").status == "failed"


HOSTILE_ANSWERS = [
    '{"o":["deque",{"o":["range",[0,1000000000000,1]]}]}', '{"o":["bytearray",1000000000000]}', '{"o":["range",[0.5]]}',
    '{"o":["array",["d",{"o":["range",[0,1000000000000,1]]}]]}', '{"o":["Fraction",[1,0]]}', '{"o":["date",5]}',
    '{"o":["Decimal","1e999999999"]}', '{"o":["Decimal","sNaN"]}', '{"o":["nonesuch",[]]}', '{"o":[]}', '{"m":[1]}',
    '{"o":["timedelta",[1e308,0,0]]}', '{"o":["range",[0,1000000000000,1]]}', '{"h":0}', '{"o":["keys",[1]]}',
]  # fmt: skip


@pytest.mark.parametrize("answer", HOSTILE_ANSWERS)
def test_parts_that_are_none_are_refused_at_once(sandbox: Sandbox, answer: str) -> None:
    program = f"import os\nos.write(3, b'{{\"v\":' + {answer.encode()!r} + b'}}\\n'); os._exit(0)\ndef f(): pass"
    outcome = call(sandbox, program)
    assert outcome.status == "refused" and outcome.own_seconds < 1, outcome


def test_the_output_may_be_as_large_as_its_job_allows(sandbox: Sandbox) -> None:
    large = replace(sandbox.limits, output_bytes=4 << 20)
    text = run(sandbox, "print('x' * (3 << 20))", limits=large)
    assert text.status == "ran" and len(text.stdout) == (3 << 20) + 1
    job = CallJob("def f(): return list(range(400000))", "f", ((),), limits=large)
    assert sandbox.call([job])[0].values == ([*range(400_000)],)


def test_calls_are_answered_one_by_one(sandbox: Sandbox) -> None:
    outcome = sandbox.call([CallJob("def f(a, b): return a / b", "f", ((6, 3), (1, 0), (1, 4)))])[0]
    assert outcome.values == (2.0, None, 0.25)
    assert outcome.answers[1].error == "ZeroDivisionError: division by zero"
    assert call(sandbox, "def g(): pass").reason == "NameError: the program defines no 'f'"
    assert sandbox.call([CallJob("def f(): pass", "f", ())])[0].status == "ran"


def test_methods_of_a_fresh_object_are_called(sandbox: Sandbox) -> None:
    program = "class Solution:\n    n = 0\n    def add(self, x):\n        self.n += x\n        return self.n"
    outcome = sandbox.call([CallJob(program, "Solution.add", ((1,), (1,)))])[0]
    assert outcome.values == (1, 1)
    test = "def check(candidate):\n    assert candidate(3) == 3\n    assert candidate(4) == 4"
    assert check(sandbox, program, test, "Solution.add").status == "passed"


def test_changed_arguments_are_copied_back_where_the_value_is_thrown_away(sandbox: Sandbox) -> None:
    program = "def f(a, d, s):\n    a.sort(); d['x'] = 1; s.add(9); return 5"
    test = "a, d, s = [2, 1], {}, set()\nf(a, d, s)\nassert a == [1, 2] and d == {'x': 1} and s == {9}"
    assert check(sandbox, program, test).status == "passed"
    used = "a, d, s = [2, 1], {}, set()\nassert f(a, d, s) == 5 and a == [2, 1]"
    assert check(sandbox, program, used).status == "passed"


def test_exceptions_reach_the_test_as_their_builtin_kind(sandbox: Sandbox) -> None:
    program = "class Odd(KeyError): pass\ndef f(x):\n    raise Odd('no')"
    test = "try:\n    f(1)\nexcept KeyError as error:\n    assert 'no' in str(error)\nelse:\n    assert False"
    assert check(sandbox, program, test).status == "passed"
    assert check(sandbox, "def f(x): raise ValueError('why')", "assert f(1)").reason.endswith("why")


def test_a_test_that_never_hears_from_the_program_fails(sandbox: Sandbox) -> None:
    assert check(sandbox, "def f(): return 1", "assert True").status == "failed"
    assert check(sandbox, "import os; os._exit(0)", "assert f() == 1").status == "failed"
    assert check(sandbox, "def f(): import os; os.abort()", "assert f() == 1").status == "crashed"


@pytest.mark.parametrize("test", ["assert (", "import no_such_module\nassert f() == 1", "assert f(object()) == 1"])
def test_a_test_that_cannot_be_run_is_nobodys_fault(sandbox: Sandbox, test: str) -> None:
    assert check(sandbox, "def f(x=1): return 1", test).status == "unjudged"


def test_helpers_of_the_data_set_are_not_the_programs_to_define(sandbox: Sandbox) -> None:
    program = "def encode(s): return s\ndef f(s): return s"
    test = "assert f(encode('ab')) == 'ab'"
    assert check(sandbox, program, test).weak
    trusted = check(sandbox, program, test, setup="def encode(s): return s[::-1]")
    assert trusted.status == "failed" and not trusted.weak


def test_classes_of_the_program_can_be_tested_and_are_weak(sandbox: Sandbox) -> None:
    program = (
        "class Node:\n    def __init__(self, n):\n        self.n, self.left = n, None\n"
        "    def double(self): return 2 * self.n\n"
        "def f(node): return node.n + (f(node.left) if node.left else 0)\n"
    )
    test = (
        "root = Node(1)\nroot.left = Node(2)\nroot.left.left = Node(4)\nassert f(root) == 7\nassert root.double() == 2"
    )
    outcome = check(sandbox, program, test)
    assert (outcome.status, outcome.weak, outcome.calls) == ("passed", True, 5)


@pytest.mark.parametrize(
    "test",
    [
        "assert f(2) == 3",
        "assert 3 == f(2)",
        "assert f(2) == [3][0]",
        "assert abs(f(2) - 3) < 1e-6",
        "assert f(2)",
        "assert not f(-1)",
        "assert f(2) in (3, 4)",
        "for n in range(3):\n    assert f(n) == n + 1",
        "import math\nx = f(2)\nassert math.isclose(x, 3.0)",
        "def check(g):\n    assert g(2) == 3",
    ],
)
def test_an_honest_program_fails_the_shifted_test(sandbox: Sandbox, test: str) -> None:
    job = CheckJob("def f(n): return n + 1", "f", test)
    assert sandbox.check([job])[0].status == "passed"
    assert sandbox.check_shifted(job).status == "failed"


def test_a_test_without_expected_values_cannot_be_shifted(sandbox: Sandbox) -> None:
    assert sandbox.check_shifted(CheckJob("def f(): pass", "f", "f()")).status == "unjudged"


def test_jobs_come_back_in_order_and_run_side_by_side(sandbox: Sandbox) -> None:
    start = time.monotonic()
    outcomes = sandbox.run_stdin([StdinJob(f"import time; time.sleep(0.3); print({n})") for n in range(3)])
    assert [one.stdout for one in outcomes] == ["0\n", "1\n", "2\n"]
    assert time.monotonic() - start < 0.85
    assert sandbox.run_stdin([]) == []


def test_nothing_of_a_program_is_shown_unescaped(sandbox: Sandbox) -> None:
    assert run(sandbox, "raise ValueError('\\x1b[2J\\n<b>' + 'x' * 999)").reason.isprintable()


def _stop_child(opened: Sandbox) -> int:
    """Stops the child of the only supervisor, from outside; its pid."""
    (supervisor,) = opened.supervisor_pids
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children")
    while not (found := children.read_text().split()):
        time.sleep(0.01)
    time.sleep(0.1)
    os.kill(int(found[0]), signal.SIGSTOP)
    return int(found[0])


def test_time_in_which_a_program_is_kept_from_running_is_not_its_own() -> None:
    tier = next((tier for tier in (2, 1) if holds(tier)), None)
    if tier is None:
        pytest.skip("no tier without namespaces holds here")
    work = "import time\nwhile time.process_time() < 0.25: pass\nprint(1)"
    with open_sandbox(tier=tier, workers=1) as opened, ThreadPoolExecutor(1) as background:
        opened.run_stdin([StdinJob("pass")])
        job = background.submit(opened.run_stdin, [StdinJob(work)], Limits(seconds=0.5))
        child = _stop_child(opened)
        time.sleep(0.7)
        os.kill(child, signal.SIGCONT)
        outcome = job.result()[0]
        assert outcome.status == "ran" and outcome.seconds > 0.7 and outcome.own_seconds < 0.5, outcome
        job = background.submit(opened.run_stdin, [StdinJob(work)], Limits(seconds=0.5, wall_seconds=0.9))
        _stop_child(opened)
        outcome = job.result()[0]
        assert outcome.status == "unjudged" and "no time for it" in outcome.reason, outcome
        assert opened.run_stdin([StdinJob("print(1)")])[0].stdout == "1\n"
