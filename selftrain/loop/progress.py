"""Progress of a run: a bar on a terminal, plain lines elsewhere and in log.txt."""

from __future__ import annotations

import sys
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from selftrain.report.visible import visible

#: Lines kept in memory while there is no log; beyond that the oldest are dropped.
MAX_WAITING = 1000


class Phase:
    """A piece of work of known size, for example 8,000 responses."""

    def __init__(self, progress: Progress, title: str, total: int, unit: str) -> None:
        self.progress, self.title, self.total, self.unit = progress, title, total, unit
        self.done, self._started, self._last_line = 0, time.monotonic(), time.monotonic()
        #: What an earlier process had done: no measure of speed.
        self._read_back = 0
        self._task = progress.bar.add_task(title, total=total, speed="") if progress.bar is not None else None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def advance(self, amount: int = 1, note: str = "", *, fresh: bool = True) -> None:
        """
        Args:
            note: shown beside the speed, for example the latest loss.
            fresh: False for what was only read back.
        """
        self.done += amount
        self._read_back += 0 if fresh else amount
        speed = f"{self._speed()} {note}".strip()
        if self.progress.bar is not None:
            self.progress.bar.update(self._task, completed=self.done, speed=speed)
        if time.monotonic() - self._last_line >= self.progress.line_every:
            self._last_line = time.monotonic()
            parts = [f"{self.title}: {self.done:,} of {self.total:,} {self.unit}", speed, self._left()]
            line = ", ".join(part for part in parts if part)
            # Where there is a bar, the line is for the log alone.
            self.progress.say(line, show=self.progress.bar is None)

    def summary(self) -> str:
        """What was done, and how long it took."""
        text = f"{self.title}: {self.done:,} {self.unit} in {self.seconds:.1f} s"
        return f"{text}, {self._read_back:,} of them read back" if self._read_back else text

    def _speed(self) -> str:
        """Of what was done now; seconds for each where that takes more than one."""
        done = self.done - self._read_back
        if not done:
            return ""
        rate = done / max(self.seconds, 1e-9)
        one = self.unit.removesuffix("s")
        return (
            f"{rate:,.0f} {self.unit}/s"
            if rate >= 10
            else f"{1 / rate:,.1f} s/{one}"
            if rate < 1
            else f"{rate:.1f} {self.unit}/s"
        )

    def _left(self) -> str:
        done = self.done - self._read_back
        return f"{self.seconds / done * (self.total - self.done):.0f} s left" if done else ""


class Progress:
    """
    Args:
        quiet: show nothing, and write to the log only.
        stream: standard error by default, so that results can be piped.
        line_every: seconds between two plain lines of one phase.
    """

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None, line_every: float = 10.0) -> None:
        self.stream = stream or sys.stderr
        self.quiet, self.line_every = quiet, line_every
        self.bar: Any = None
        self._log: TextIO | None = None
        self._unlogged: deque[str] = deque(maxlen=MAX_WAITING)

    def say(self, text: str, *, show: bool = True) -> None:
        """Shows a text, and adds it to the log with the time."""
        text = visible(text)
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
        """Within it everything goes to this file too, beginning with the lines before it.

        A log that cannot be written is closed with a message: it must not stop a run.
        """
        try:
            # Text of a model may hold half characters, which UTF-8 cannot encode.
            self._log = path.open("a", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            self._abandon_log(error)
        self._write_log()
        try:
            yield
        except BaseException as error:
            # Shown by whoever catches it; the log has to say by itself why a run ended.
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
            self._abandon_log(error)
        self._unlogged.clear()

    def _abandon_log(self, error: Exception) -> None:
        self._close_log()
        self.say(f"log.txt ends here, it cannot be written ({error}); the run continues")

    def _close_log(self) -> None:
        log, self._log = self._log, None
        if log is not None:
            # Closing writes what is buffered, which fails where writing has failed.
            with suppress(OSError, ValueError):
                log.close()

    @contextmanager
    def phase(self, title: str, total: int, unit: str) -> Iterator[Phase]:
        if self.quiet or not self.stream.isatty() or self.bar is not None:
            phase = Phase(self, title, total, unit)
            yield phase
            self.say(phase.summary())
            return
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        console = Console(file=self.stream)
        texts = ("{task.description}", "{task.completed:,}/{task.total:,}", "{task.fields[speed]}")
        name, count, speed = map(TextColumn, texts)
        columns = (name, BarColumn(), count, speed, TimeRemainingColumn())
        with Bars(*columns, console=console, transient=True) as self.bar:
            phase = Phase(self, title, total, unit)
            try:
                yield phase
            finally:
                self.bar = None
        self.say(phase.summary())


class Stopwatch(defaultdict[str, float]):
    """Seconds by stage."""

    def __init__(self) -> None:
        super().__init__(float)

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self[stage] += time.monotonic() - started
