"""Says what is happening, how fast and how long still: a bar on a terminal, plain lines elsewhere and in log.txt."""

from __future__ import annotations

import sys
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

#: Seconds between two plain lines of one phase.
LINE_EVERY = 10.0
#: Lines that wait in memory while there is no log; beyond that the oldest are given up.
WAITING = 1000


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
        if time.monotonic() - self._said >= LINE_EVERY:
            self._said = time.monotonic()
            left = self.seconds / max(self.done, 1) * (self.total - self.done)
            line = f"{self.title}: {self.done:,} of {self.total:,} {self.unit}, {speed}, {left:.0f} s left"
            # Where a bar shows it, the line is for the log alone.
            self.progress.say(line, show=self.progress.bar is None)


class Progress:
    """
    Args:
        quiet: show nothing at all; what is said goes to the log only.
        stream: where to; standard error by default, so that results can be piped.
    """

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.quiet = quiet
        self.bar: Any = None
        self._log: TextIO | None = None
        self._unlogged: deque[str] = deque(maxlen=WAITING)

    def say(self, text: str, *, show: bool = True) -> None:
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._unlogged.extend(f"{stamp} {line}\n" for line in text.splitlines() or [""])
        self._write_log()
        if show and not self.quiet:
            print(text, file=self.stream, flush=True)

    def say_all(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.say(text)

    @contextmanager
    def log_to(self, path: Path) -> Iterator[None]:
        """Within it, all that is said is added to this file too, after what was said before.

        A log that cannot be written is given up, which is said once: it must not cost a run.
        """
        try:
            # Not every text of a model can be encoded, and the log has to take it all the same.
            self._log = path.open("a", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            self._give_up_log(error)
        self._write_log()
        try:
            yield
        except BaseException as error:
            # Whoever catches it shows it; a log has to tell by itself why a run ended.
            self.say(f"ended by {type(error).__name__}: {error}", show=False)
            raise
        finally:
            self._close_log()

    def _write_log(self) -> None:
        if self._log is None:
            return
        try:
            self._log.writelines(self._unlogged)
            self._log.flush()
        except (OSError, ValueError) as error:  # a ValueError where the file was closed
            self._give_up_log(error)
        self._unlogged.clear()

    def _give_up_log(self, error: Exception) -> None:
        self._close_log()
        self.say(f"log.txt ends here, it cannot be written ({error}); the run goes on")

    def _close_log(self) -> None:
        log, self._log = self._log, None
        if log is not None:
            # Closing writes what is left, which fails where writing has failed.
            with suppress(OSError, ValueError):
                log.close()

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


class Stopwatch(defaultdict[str, float]):
    """Seconds by what they were spent on."""

    def __init__(self) -> None:
        super().__init__(float)

    @contextmanager
    def timing(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self[what] += time.monotonic() - began
