"""Progress while it is made: some lines below the others on a terminal, one line that changes in a notebook."""

from __future__ import annotations

import os
import sys
import time
import warnings
from typing import Protocol, TextIO

from selftrain.loop.shown_sample import fitting

#: Times a second that a terminal is drawn, and seconds between two changes in a notebook, which saves each.
_DRAWN, _CHANGES = 4, 1.0
#: Columns of a line in a notebook, which has more lines for a longer one.
_PAGE = 160


class Display(Protocol):
    """Of one phase; it is gone when the phase is over."""

    def show(self, done: int, speed: str, status: str, sample: tuple[str, ...]) -> None:
        """
        Args:
            done: units of the phase.
            status: of the run as a whole.
            sample: lines of the latest sample.
        """
        ...

    def print(self, text: str) -> None:
        """Lines that stay."""
        ...

    def close(self) -> None: ...


def own_stream() -> TextIO:
    """Standard error, so that results can be piped; in a notebook standard output, which is not shown in red there."""
    if not in_notebook():
        return sys.stderr
    # A red block about a bar that is not shown: libraries say it when they are imported.
    warnings.filterwarnings("ignore", message="IProgress not found")
    return sys.stdout


def in_notebook() -> bool:
    """Whether a kernel of Jupyter runs this."""
    ipython = sys.modules.get("IPython")
    return hasattr(getattr(ipython, "get_ipython", lambda: None)(), "kernel")


def columns_of(stream: TextIO) -> int | None:
    """Of a terminal; None of anything else."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):  # also of a stream that is no file
        return None


def open_display(stream: TextIO, title: str, total: int, unit: str) -> Display | None:
    """None where lines that follow one another are all that there is."""
    if in_notebook() and stream is sys.stdout:
        return Notebook(stream, title, total, unit)
    return Terminal(stream, title, total) if stream.isatty() else None


class Terminal:
    """A bar, the status and the latest sample, cut to the terminal's width. What models wrote is never markup."""

    def __init__(self, stream: TextIO, title: str, total: int) -> None:
        from rich.console import Console, Group
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._group = Group
        self._console = Console(file=stream)
        texts = ("{task.description}", "{task.completed:,}/{task.total:,}", "{task.fields[speed]}")
        name, count, speed = (TextColumn(text, markup=False) for text in texts)
        self._time = TimeRemainingColumn()
        self._bars = Progress(name, BarColumn(), count, speed, self._time, console=self._console)
        self._task = self._bars.add_task(fitting(title, 200), total=total, speed="")
        self._live = Live(self._bars, console=self._console, transient=True, refresh_per_second=_DRAWN)
        self._live.start()

    def show(self, done: int, speed: str, status: str, sample: tuple[str, ...]) -> None:
        from rich.text import Text

        self._bars.update(self._task, completed=done, speed=speed)
        # The time left of the phase is shown where nothing is known of a run.
        self._bars.columns = tuple(one for one in self._bars.columns if one is not self._time or not status)
        lines = [fitting(line, self._console.width) for line in (status, *sample) if line]
        texts = [Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in lines]
        self._live.update(self._group(self._bars, *texts))

    def print(self, text: str) -> None:
        from rich.text import Text

        self._console.print(Text(text), soft_wrap=True, highlight=False)

    def close(self) -> None:
        self._live.stop()


class Notebook:
    """One line of standard output that is written over: any front end of notebooks shows that in place."""

    def __init__(self, stream: TextIO, title: str, total: int, unit: str) -> None:
        self._stream, self._title, self._total, self._unit = stream, title, total, unit
        #: When it changed last, and columns of what stands there.
        self._changed, self._width = 0.0, 0

    def show(self, done: int, speed: str, status: str, sample: tuple[str, ...]) -> None:
        if time.monotonic() - self._changed < _CHANGES:
            return
        self._changed = time.monotonic()
        parts = (f"{self._title}: {done:,} of {self._total:,} {self._unit}", speed, status)
        self._write(fitting(", ".join(part for part in parts if part), _PAGE))

    def print(self, text: str) -> None:
        self._write("")
        print(text, file=self._stream, flush=True)

    def close(self) -> None:
        self._write("")

    def _write(self, line: str) -> None:
        if not (line or self._width):
            return
        cleared = f"\r{' ' * self._width}\r" if self._width else ""
        self._width = len(line)
        print(f"{cleared}{line}", end="", file=self._stream, flush=True)
