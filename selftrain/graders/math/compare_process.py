"""The program in which math-verify runs: started, timed and killed by `worker_process`.

A supervisor imports sympy once and forks a child that handles requests. If the child dies, or is killed because the
supervisor got SIGUSR1, the supervisor reports it and forks another: 5 ms instead of a second. JSON lines in and out:

    {"n": 1, "gold": "x^2"}                    ->  {"n": 1, "ok": true}    math-verify can read this gold
    {"n": 2, "gold": "x^2", "answer": "x*x"}   ->  {"n": 2, "ok": true}    the answer is equal to it
    {"n": 3, "gold": "7", "text": "is 7."}     ->  {"n": 3, "ok": true}    math-verify alone accepts this completion
                                                   {"ready": 4711}         a child with this pid waits for a request
                                                   {"died": -9}            it died: minus a signal, or an exit code

Grading uses math-verify's LaTeX parser only. Its parser for plain expressions also accepts whatever is merely mentioned
in a text; it takes part only in the verdict of math-verify alone (`selftrain audit`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

import sympy
from latex2sympy2_extended import NormalizationConfig
from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

#: Bytes of address space, so that a runaway expansion ends itself and not the machine.
_MEMORY = 4 << 30
#: Decimals compared if one side is a decimal number.
_DECIMALS = 9
#: A decimal that may be a rounding.
_DECIMAL = re.compile(rf"-?\d+\.(\d{{{_DECIMALS},}})", re.ASCII)
_TOLERANCE = sympy.Rational(1, 10**9)

#: Without its rule for units, which takes the h of `2\\pi r h` for hours.
_LATEX = LatexExtractionConfig(
    normalization_config=NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none", equations=False
    )
)


def parse_latex(text: str) -> list[Any]:
    """What math-verify reads in a text. Its own time limits, which are signals, are off: ours is a kill."""
    expressions: list[Any] = parse(f"${text}$", [_LATEX], fallback_mode="no_fallback", parsing_timeout=None)
    return expressions


def gold_is_readable(gold: str) -> bool:
    """Whether it equals itself, and not an arbitrary number. The latter also exposes golds too heavy to compare."""
    return is_equal(gold, gold) and not is_equal(gold, r"\sqrt{7919} + \frac{1}{7907}")


def is_equal(gold: str, answer: str) -> bool:
    golds, answers = parse_latex(gold), parse_latex(answer)
    if len(golds) == len(answers) == 1 and (written := _DECIMAL.fullmatch(answer) or _DECIMAL.fullmatch(gold)):
        return rounds_to(answers[0] if written.string is gold else golds[0], written)
    # Numbers first: to simplify what is not equal takes most of the time.
    if len(golds) == len(answers) == 1 and differs_at_a_point(golds[0], answers[0]):
        return False
    return bool(verify(golds, answers, float_rounding=_DECIMALS, timeout_seconds=None))


def rounds_to(value: Any, written: re.Match[str]) -> bool:
    """Whether a value is a decimal to half a unit of its last place."""
    if not isinstance(value, sympy.Expr) or value.free_symbols:
        return False
    decimals = len(written[1])
    difference = abs(sympy.N(value.doit(), decimals + 30) - sympy.Rational(written[0]))
    return bool(2 * difference <= sympy.Rational(1, 10**decimals))


def differs_at_a_point(a: Any, b: Any) -> bool:
    """Whether two formulas have other values with numbers in place of the symbols.

    A second opinion on every "equal", too: math-verify rounds the difference of two tiny numbers to 0, and equates any
    two equations without a real solution.
    Equations are compared by the ratio of their sides' differences, which must be the same at two points.
    """
    if isinstance(a, sympy.core.relational.Relational) and type(a) is type(b):
        if not all(isinstance(side, sympy.Expr) for side in (*a.args, *b.args)):
            return False
        a, b = a.lhs - a.rhs, b.lhs - b.rhs
        first, second = (_values(a, b, point) for point in (1, 2))
        return bool(first and second) and not _near(first[0] * second[1], second[0] * first[1])
    if not (isinstance(a, sympy.Expr) and isinstance(b, sympy.Expr)) or a.is_Symbol or b.is_Symbol:
        return False
    values = _values(a, b, 1)
    return bool(values) and not _near(*values)


def _values(a: Any, b: Any, point: int) -> tuple[Any, ...]:
    symbols = sorted(a.free_symbols | b.free_symbols, key=str)
    numbers = {symbol: sympy.Rational(17 * point + 5 * i, 23) for i, symbol in enumerate(symbols)}
    values = tuple(sympy.N(side.doit().subs(numbers), 30) for side in (a, b))
    return values if all(value.is_number and value.is_finite for value in values) else ()


def _near(a: Any, b: Any) -> bool:
    return bool(abs(a - b) <= _TOLERANCE * max(abs(a), abs(b)))


def math_verify_alone(gold: str, text: str) -> bool:
    """math-verify as its README uses it, on a whole completion and without any rule of ours.

    The better of two tries: the texts as they are, and with dollars around them, without which it reads no formula.
    """
    both = [LatexExtractionConfig(), ExprExtractionConfig()]
    in_dollars = tuple(each if "$" in each or "\\boxed" in each else f"${each}$" for each in (gold, text))
    return any(
        verify(*(parse(each, both, parsing_timeout=None) for each in pair), timeout_seconds=None)
        for pair in dict.fromkeys(((gold, text), in_dollars))
    )


def handle(request: dict[str, str]) -> bool:
    try:
        if "text" in request:
            return math_verify_alone(**request)
        return is_equal(**request) if "answer" in request else gold_is_readable(**request)
    except Exception:
        # sympy fails in countless ways on text that is no mathematics; no failure is a match.
        return False


def serve(reply: Callable[..., None], own_limit: float) -> None:
    """Handles requests until there are no more.

    Args:
        own_limit: processor seconds after which the kernel ends this process, so that none outlives a run that was
            killed.
    """
    reply(ready=os.getpid())
    for line in sys.stdin:
        request = json.loads(line)
        number = request.pop("n")
        signal.setitimer(signal.ITIMER_PROF, own_limit)
        ok = handle(request)
        signal.setitimer(signal.ITIMER_PROF, 0)
        reply(n=number, ok=ok)


def supervise(reply: Callable[..., None], own_limit: float) -> None:
    """Forks a child that serves, and another whenever one dies; returns when the requests have ended."""
    child = 0

    def end_child(*_: object) -> None:
        # Not yet waited for, so the pid cannot belong to another process.
        if child:
            os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGUSR1, end_child)
    while True:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            serve(reply, own_limit)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        child = 0
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            return
        reply(died=code)


def main() -> None:
    # What a library prints must not be taken for a reply.
    output = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    logging.disable(logging.CRITICAL)
    with contextlib.suppress(ValueError, OSError):  # some systems do not let a process limit itself
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    # Compile now what is compiled at first use: children inherit it.
    gold_is_readable(r"\frac{x^2}{2}")
    math_verify_alone("7", "It is 7.")

    def reply(**fields: object) -> None:
        # One write, so that a kill cannot leave half a line.
        os.write(output, json.dumps(fields).encode() + b"\n")

    supervise(reply, float(sys.argv[1]))


if __name__ == "__main__":
    main()
