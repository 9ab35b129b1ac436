"""Standard output of a command whose result is JSON: the result, and nothing else."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TextIO

_STDOUT, _STDERR = 1, 2


@contextmanager
def others_on_stderr(as_json: bool) -> Iterator[None]:
    """What reward functions, libraries and the programs that they start print meanwhile goes to standard error.

    Args:
        as_json: whether the result is; else nothing is changed.
    """
    if not as_json:
        yield
        return
    with _descriptor_moved(sys.stdout), redirect_stdout(sys.stderr):
        yield


@contextmanager
def _descriptor_moved(stdout: TextIO) -> Iterator[None]:
    """For what does not print by `sys.stdout`: programs, libraries in C, and who holds the stream itself."""
    if not _is_descriptor(stdout):
        yield
        return
    stdout.flush()
    kept = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)
    try:
        yield
    finally:
        stdout.flush()
        os.dup2(kept, _STDOUT)
        os.close(kept)


def _is_descriptor(stdout: TextIO) -> bool:
    """False where another stream stands in for it, as in tests and notebooks."""
    try:
        return stdout.fileno() == _STDOUT
    except OSError:
        return False
