"""Stand-ins for what honest programs use and a filter denies, though it would do no harm.

    open("/dev/stdin")                    a copy of the descriptor; also /dev/stdout, /dev/stderr, /dev/null
    os.fstat(0)                           remembered: some C libraries ask for it by path
    mmap.mmap(0, 0, ...)                  the length is that of standard input
    resource.setrlimit(RLIMIT_STACK)      does nothing: the stack is as large as it may be
    asyncio.run(...)                      wakes up by an event instead of a pair of sockets

Nothing here holds anything: that is the filter's work.
"""

from __future__ import annotations

import builtins
import io
import mmap
import os
import resource
import selectors
import threading
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from selftrain.sandbox.inside.library import MemoryFinder

_STREAMS = {"/dev/null": 2}
for _number, _name in enumerate(("stdin", "stdout", "stderr")):
    _STREAMS |= dict.fromkeys((f"/dev/{_name}", f"/dev/fd/{_number}", f"/proc/self/fd/{_number}"), _number)
#: How long a loop waits before it looks again whether a descriptor is ready.
_SLICE = 0.01


def install(finder: MemoryFinder, sockets: bool) -> None:
    """
    Args:
        finder: loads the modules that are not loaded yet.
        sockets: whether programs may create pairs of sockets, so that asyncio works as it is.
    """
    _open_streams_by_name()
    _measure_standard_input()
    _keep_stack_limit()
    if not sockets:
        finder.after["asyncio.selector_events"] = _wake_without_sockets


def remember_fstat() -> None:
    known = {number: os.fstat(number) for number in (0, 1, 2)}
    real = os.fstat

    def fstat(fd: int) -> os.stat_result:
        return known[fd] if fd in known else real(fd)

    os.fstat = fstat


def _open_streams_by_name() -> None:
    open_file, open_descriptor = builtins.open, os.open

    def number_of(file: Any) -> int | None:
        try:
            return _STREAMS.get(os.fspath(file))
        except TypeError:  # a descriptor, or no path at all
            return None

    def opened(file: Any, *arguments: Any, **named: Any) -> Any:
        number = number_of(file)
        return open_file(file if number is None else os.dup(number), *arguments, **named)

    def opened_descriptor(path: Any, flags: int, mode: int = 0o777, **named: Any) -> int:
        number = number_of(path)
        return open_descriptor(path, flags, mode, **named) if number is None else os.dup(number)

    opened.__name__ = opened.__qualname__ = opened_descriptor.__name__ = opened_descriptor.__qualname__ = "open"
    builtins.open, io.open, os.open = opened, opened, opened_descriptor


def _measure_standard_input() -> None:
    real = mmap.mmap

    class Mmap(real):  # type: ignore[misc,valid-type]
        def __new__(cls, fileno: int, length: int, *arguments: Any, **named: Any) -> Any:
            if length == 0 and 0 <= fileno <= 2:
                length = os.fstat(fileno).st_size
            return super().__new__(cls, fileno, length, *arguments, **named)

    Mmap.__name__ = Mmap.__qualname__ = "mmap"
    mmap.mmap = Mmap  # type: ignore[misc]


def _keep_stack_limit() -> None:
    real = resource.setrlimit

    def setrlimit(kind: int, limits: tuple[int, int]) -> None:
        if kind != resource.RLIMIT_STACK:
            real(kind, limits)

    resource.setrlimit = setrlimit


class _EventSelector(selectors.PollSelector):
    """Waits for an event, or for descriptors if there are any."""

    def __init__(self) -> None:
        super().__init__()
        self.event = threading.Event()

    def select(self, timeout: float | None = None) -> Any:
        while True:
            ready = super().select(0) if self.get_map() else []
            wait = _SLICE if self.get_map() else timeout
            if timeout is not None:
                wait = min(timeout, _SLICE) if self.get_map() else timeout
                timeout -= wait or 0
            if ready or self.event.wait(wait) or (timeout is not None and timeout <= 0):
                self.event.clear()
                return ready


def _wake_without_sockets(selector_events: ModuleType) -> None:
    loop: Any = selector_events.BaseSelectorEventLoop
    create = loop.__init__

    def with_event(self: Any, selector: Any = None) -> None:
        create(self, selector or _EventSelector())

    def wake(self: Any) -> None:
        if isinstance(self._selector, _EventSelector):
            self._selector.event.set()

    changed: Mapping[str, Any] = {
        "__init__": with_event,
        "_make_self_pipe": lambda self: None,
        "_close_self_pipe": lambda self: None,
        "_write_to_self": wake,
    }
    for name, method in changed.items():
        setattr(loop, name, method)
