"""The process in which math-verify runs: started, timed and killed by `math_worker`.

One JSON object a line in, one a line out:

    {"gold": "x^2"}                      ->  {"ok": true}    math-verify can read this gold
    {"gold": "x^2", "answer": "x*x"}     ->  {"ok": true}    the answer is equal to it

Only math-verify's LaTeX reader is used. Its other reader hands text to sympy's `parse_expr`, which evaluates it
as Python.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import sys
from typing import Any

import sympy
from latex2sympy2_extended import NormalizationConfig
from math_verify import LatexExtractionConfig, parse, verify

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


def answer_one(request: dict[str, str]) -> bool:
    try:
        return is_equal(**request) if "answer" in request else gold_is_readable(**request)
    except Exception:
        # sympy fails in countless ways on text nobody meant as mathematics; no way of failing is a match.
        return False


def main() -> None:
    # Whatever a library prints must not be taken for a reply.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    logging.disable(logging.CRITICAL)
    with contextlib.suppress(ValueError, OSError):  # some systems do not let a process limit itself
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    is_equal(r"\frac{x^2}{2}", r"\frac{1}{2}x^2")  # compiles what is compiled at first use
    print(json.dumps({"ok": True}), file=replies, flush=True)
    for line in sys.stdin:
        print(json.dumps({"ok": answer_one(json.loads(line))}), file=replies, flush=True)


if __name__ == "__main__":
    main()
