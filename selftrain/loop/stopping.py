"""When a run stops before its end, so that it can be gone on with: by a signal, or by what it may cost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from selftrain.config import config_dataclass, setting
from selftrain.errors import SelftrainError


@config_dataclass(resumable=True)
class BudgetConfig:
    """Limits of one run. At a limit the run stops with exit code 75; `selftrain resume` continues it."""

    max_tokens: int | None = setting(None, "stop when this many tokens have been sampled for training in all", ge=1)
    max_hours: float | None = setting(None, "stop when this process has run for this many hours", gt=0)
    max_rounds: int | None = setting(
        None, "stop after this round; unlike num_rounds it does not change any schedule", ge=1
    )
    checkpoint_minutes: float = setting(
        10.0,
        "save a checkpoint at least this often during training, and between rounds that are not evaluated; 0 is after "
        "every step",
        ge=0,
    )


class StoppedError(SelftrainError):
    """The run was asked to stop, and has: nothing is lost, and it can be gone on with."""

    exit_code = 75


class StopController:
    """Knows why a run has to stop, if it has to."""

    def __init__(self, budget: BudgetConfig, go_on: str) -> None:
        """`go_on` tells how to go on with the run."""
        self.budget, self._go_on = budget, go_on
        self._began = time.monotonic()
        self._tokens = 0
        self._signal = ""

    @property
    def asked(self) -> bool:
        """Whether it has to stop: the next place where it can is good."""
        hours = self.budget.max_hours
        return bool(self._signal) or (hours is not None and time.monotonic() - self._began > 3600 * hours)

    def count(self, tokens: int) -> None:
        """Adds tokens that were sampled for training, and heeds."""
        self._tokens += tokens
        if self.budget.max_tokens is not None and self._tokens > self.budget.max_tokens:
            self._stop(f"{self._tokens:,} tokens have been sampled, and max_tokens is {self.budget.max_tokens:,}")
        self.raise_if_stopping()

    def round_ended(self, number: int, num_rounds: int) -> None:
        if self.budget.max_rounds is not None and self.budget.max_rounds <= number < num_rounds:
            self._stop(f"round {number} is over, and max_rounds is {self.budget.max_rounds}")
        self.raise_if_stopping()

    def raise_if_stopping(self) -> None:
        """Called wherever what has been done so far is safe.

        Raises:
            StoppedError: it has to stop here.
        """
        if self._signal:
            self._stop(f"stopped by {self._signal}")
        if self.asked:
            self._stop(f"max_hours is {self.budget.max_hours:g}, and they are over")

    def _stop(self, why: str) -> None:
        raise StoppedError(why, "all that was done is safe", self._go_on)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """SIGTERM and SIGINT ask the run to stop at the next safe place; a second one ends it at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._hear) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self._signal:
            # What is safe stays so: this is what being killed is like.
            os.write(2, f"selftrain: {name} again: leaving at once. {self._go_on}\n".encode())
            os._exit(StoppedError.exit_code)
        self._signal = name
        os.write(2, f"\nselftrain: {name}: finishing the answers in hand; once more to leave at once\n".encode())
