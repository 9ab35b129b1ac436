"""Says what is happening, how fast and how long still: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

#: Seconds between two plain lines of one phase.
LINE_EVERY = 10.0


class Phase:
    """One stretch of work with a known amount, for example 8,000 answers."""

    def __init__(self, progress: Progress, title: str, total: int, unit: str) -> None:
        self.progress, self.title, self.total, self.unit = progress, title, total, unit
        self.done, self.began, self._said = 0, time.monotonic(), time.monotonic()
        self._task = progress.bar.add_task(title, total=total, speed="") if progress.bar is not None else None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def advance(self, amount: int = 1, note: str = "") -> None:
        """`note` is shown beside the speed, for example the latest loss."""
        self.done += amount
        speed = f"{self.done / max(self.seconds, 1e-9):,.0f} {self.unit}/s {note}".rstrip()
        if self.progress.bar is not None:
            self.progress.bar.update(self._task, completed=self.done, speed=speed)
        elif time.monotonic() - self._said >= LINE_EVERY:
            self._said = time.monotonic()
            left = self.seconds / max(self.done, 1) * (self.total - self.done)
            self.progress.say(f"{self.title}: {self.done:,} of {self.total:,} {self.unit}, {speed}, {left:.0f} s left")


class Progress:
    """
    Args:
        quiet: say nothing at all.
        stream: where to; standard error by default, so that results can be piped.
    """

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.quiet = quiet
        self.bar: Any = None

    def say(self, line: str) -> None:
        if not self.quiet:
            print(line, file=self.stream, flush=True)

    @contextmanager
    def phase(self, title: str, total: int, unit: str) -> Iterator[Phase]:
        if self.quiet or not self.stream.isatty() or self.bar is not None:
            phase = Phase(self, title, total, unit)
            yield phase
            self.say(f"{title}: {phase.done:,} {unit} in {phase.seconds:.1f} s")
            return
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        console = Console(file=self.stream)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,}/{task.total:,}"),
                   TextColumn("{task.fields[speed]}"), TimeRemainingColumn())  # fmt: skip
        with Bars(*columns, console=console, transient=True) as self.bar:
            phase = Phase(self, title, total, unit)
            try:
                yield phase
            finally:
                self.bar = None
        self.say(f"{title}: {phase.done:,} {unit} in {phase.seconds:.1f} s")
