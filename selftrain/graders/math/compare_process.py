"""The processes in which math-verify runs: started, timed and killed by `math_worker`.

A keeper imports sympy once and forks a child that answers. Where the child dies, or is killed at the keeper's
SIGUSR1, the keeper says so and forks another: 5 ms instead of a second. One JSON object a line in, one a line out:

    {"n": 1, "gold": "x^2"}                    ->  {"n": 1, "ok": true}    math-verify can read this gold
    {"n": 2, "gold": "x^2", "answer": "x*x"}   ->  {"n": 2, "ok": true}    the answer is equal to it
    {"n": 3, "gold": "7", "text": "is 7."}     ->  {"n": 3, "ok": true}    what math-verify alone says, as it comes
                                                   {"ready": 4711}         a child (by its id) waits for a question
                                                   {"died": -9}            it died: a signal, or an exit code

A judge's verdict uses math-verify's LaTeX reader only. Its other reader, for plain expressions, also takes what
merely stands in a text; it is asked where math-verify alone is what one wants to know (`selftrain audit`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

import sympy
from latex2sympy2_extended import NormalizationConfig
from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

#: Bytes of address space: a runaway expansion ends here and not with the machine.
_MEMORY = 4 << 30
#: Decimals that are compared where one side is a decimal number.
_PLACES = 9
_CLOSE = sympy.Rational(1, 10**9)


#: Without its own rule for units, to which the h of `2\\pi r h` is hours.
_LATEX = LatexExtractionConfig(
    normalization_config=NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none", equations=False
    )
)


def read(text: str) -> list[Any]:
    """All that math-verify makes of a text. Its own time limits are off: they are signals, ours is a kill."""
    expressions: list[Any] = parse(f"${text}$", [_LATEX], fallback_mode="no_fallback", parsing_timeout=None)
    return expressions


def gold_is_readable(gold: str) -> bool:
    """Whether it equals itself and not just any number. The latter also shows a gold that is too heavy to compare."""
    return is_equal(gold, gold) and not is_equal(gold, r"\sqrt{7919} + \frac{1}{7907}")


def is_equal(gold: str, answer: str) -> bool:
    golds, answers = read(gold), read(answer)
    return verify(golds, answers, float_rounding=_PLACES, timeout_seconds=None) and not (
        len(golds) == len(answers) == 1 and differs_at_a_point(golds[0], answers[0])
    )


def differs_at_a_point(a: Any, b: Any) -> bool:
    """A second opinion on every "equal": put numbers for the letters and see.

    math-verify takes the difference of two tiny numbers for 0, and two equations without a real solution for the
    same equation. Equations are compared by the ratio of their sides' differences, which must not change.
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
    letters = sorted(a.free_symbols | b.free_symbols, key=str)
    numbers = {letter: sympy.Rational(17 * point + 5 * i, 23) for i, letter in enumerate(letters)}
    values = tuple(sympy.N(side.doit().subs(numbers), 30) for side in (a, b))
    return values if all(value.is_number and value.is_finite for value in values) else ()


def _near(a: Any, b: Any) -> bool:
    return bool(abs(a - b) <= _CLOSE * max(abs(a), abs(b)))


def alone(gold: str, text: str) -> bool:
    """math-verify as its README uses it, on a whole completion and without any rule of ours.

    At its best: the texts as they stand, or else with dollars around them, without which it reads no formula.
    """
    both = [LatexExtractionConfig(), ExprExtractionConfig()]
    dressed = tuple(each if "$" in each or "\\boxed" in each else f"${each}$" for each in (gold, text))
    return any(
        verify(*(parse(each, both, parsing_timeout=None) for each in pair), timeout_seconds=None)
        for pair in dict.fromkeys(((gold, text), dressed))
    )


def answer_one(request: dict[str, str]) -> bool:
    try:
        if "text" in request:
            return alone(**request)
        return is_equal(**request) if "answer" in request else gold_is_readable(**request)
    except Exception:
        # sympy fails in countless ways on text nobody meant as mathematics; no way of failing is a match.
        return False


def serve(say: Callable[..., None], own_limit: float) -> None:
    """Answers until there are no more questions.

    Args:
        own_limit: seconds after which the kernel ends this process: none may outlive a run that was killed.
    """
    say(ready=os.getpid())
    for line in sys.stdin:
        request = json.loads(line)
        number = request.pop("n")
        signal.setitimer(signal.ITIMER_REAL, own_limit)
        ok = answer_one(request)
        signal.setitimer(signal.ITIMER_REAL, 0)
        say(n=number, ok=ok)


def keep(say: Callable[..., None], own_limit: float) -> None:
    """Forks a child that serves, and the next where it dies; returns when the questions have ended."""
    child = 0

    def end_child(*_: object) -> None:
        # Not yet waited for, so the id cannot have become that of a stranger.
        if child:
            os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGUSR1, end_child)
    while True:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            serve(say, own_limit)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        child = 0
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            return
        say(died=code)


def main() -> None:
    # Whatever a library prints must not be taken for a reply.
    replies = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    logging.disable(logging.CRITICAL)
    with contextlib.suppress(ValueError, OSError):  # some systems do not let a process limit itself
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    # What is compiled at first use, is compiled now: children inherit it.
    gold_is_readable(r"\frac{x^2}{2}")
    alone("7", "It is 7.")

    def say(**reply: object) -> None:
        # In one write, so that a kill cannot leave half a line.
        os.write(replies, json.dumps(reply).encode() + b"\n")

    keep(say, float(sys.argv[1]))


if __name__ == "__main__":
    main()
