"""sympy's LaTeX parser, with the ANTLR runtime that is installed.

`sympy.parsing.latex.parse_latex` refuses any runtime but 4.11, math-verify brings 4.13, and the parser that sympy
generated with 4.11 runs on both: they read the same tables.
"""

from __future__ import annotations

import io
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from types import FrameType
from typing import Any


def parse_latex(text: str) -> Any:
    """
    Raises:
        Exception: whatever sympy raises where the text is no expression that it knows.
    """
    import antlr4
    from sympy.parsing.latex import _parse_latex_antlr as generated

    text = text.strip()
    errors = generated.MathErrorListener(text)
    # The runtime prints that it is another version.
    with redirect_stdout(io.StringIO()):
        lexer = generated.LaTeXLexer(antlr4.InputStream(text))
        lexer.removeErrorListeners()
        lexer.addErrorListener(errors)
        parser = generated.LaTeXParser(antlr4.CommonTokenStream(lexer))
        parser.removeErrorListeners()
        parser.addErrorListener(errors)
        return generated.convert_relation(parser.math().relation())


@cache
def require_parser() -> None:
    """
    Raises:
        Exception: the parser cannot be used at all, which must not pass for "not the same".
    """
    parse_latex("1 + x")


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """
    Raises:
        TimeoutError: what is inside takes longer. Only in the main thread, which alone gets signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def give_up(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"no verdict within {seconds} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
