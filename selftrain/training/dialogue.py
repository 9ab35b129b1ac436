"""What the processes of a training tell the run, and what it answers: files in the folder of their job."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from selftrain import errors
from selftrain.storage.typed_json import from_plain
from selftrain.training.base import Checkpoints, TrainingHooks, TrainingReport

#: Seconds between looks at what is new.
POLL = 0.01
#: Seconds that a collective operation may take, of which writing a checkpoint is the longest.
TIMEOUT = 600.0
#: Seconds between signs of life of a process, and without any after which the run says so: a network file system may
#: hide them for a minute.
SIGN_OF_LIFE, SILENCE = 5.0, 120.0
#: File that ends the processes.
STOP = "stop"


def put(file: Path, text: str) -> None:
    """Writes a file that is never seen in part."""
    new = file.with_name(f"{file.name}.new")
    new.write_text(text)
    new.replace(file)


class _NotNowError(Exception):
    """The processes have come to something else than saving their state."""


class Dialogue:
    """
    Args:
        path: folder of the job.
        check: raises an error where the processes are lost.
        measure: gives the validation metric of the weights in a folder.
    """

    def __init__(
        self, path: Path, check: Callable[[], None], hooks: TrainingHooks, measure: Callable[[Path], float]
    ) -> None:
        self._path, self._check, self._hooks, self._measure = path, check, hooks, measure
        self._events = deque[list[Any]]()
        self._steps = self._saves = self._read = 0

    def report(self) -> TrainingReport:
        """Answers until the training has ended.

        Raises:
            SelftrainError: it cannot succeed, or the processes are lost.
        """
        while True:
            kind, *what = self._next()
            if kind == "report":
                return from_plain(TrainingReport, what[0], "the report of a training")
            if kind == "error":
                raise getattr(errors, what[0])(*what[1:])
            if kind == "measure":
                self._answer(what[0], self._measure(self._path / what[0]))
            if kind == "resume":
                # Asked, as a checkpoint may just be taking the place of the one before.
                latest = None if self._hooks.checkpoints is None else self._hooks.checkpoints.latest
                self._answer(what[0], None if latest is None else str(latest.resolve()))
            if self._hooks.checkpoints is not None and self._hooks.checkpoints.due():
                self._save(self._hooks.checkpoints)

    def _answer(self, question: str, answer: float | str | None) -> None:
        put(self._path / f"{question}.json", json.dumps(answer))

    def _next(self) -> list[Any]:
        """The next event; that of a step is passed on and given as `["nothing"]`, as where there is none."""
        if not self._events:
            self._check()
            with (self._path / "events").open("rb") as file:
                file.seek(self._read)
                new = file.read()
            whole = new[: new.rfind(b"\n") + 1]
            self._read += len(whole)
            self._events += [json.loads(line) for line in whole.splitlines()]
            time.sleep(0 if self._events else POLL)
        event: list[Any] = self._events.popleft() if self._events else ["nothing"]
        if event[0] != "step":
            return event
        # Processes that were started again have made some steps twice.
        if event[1] > self._steps and self._hooks.on_step is not None:
            self._hooks.on_step(*event[1:])
        self._steps = max(self._steps, event[1])
        return ["nothing"]

    def _save(self, checkpoints: Checkpoints) -> None:
        """Asks the processes for their state, unless they do not come to that any more before they need an answer."""
        self._saves += 1

        def write(folder: Path) -> None:
            put(self._path / "save", f"{self._saves} {folder.resolve()}")
            while (event := self._next())[0] != "saved":
                if event[0] != "nothing":
                    self._events.appendleft(event)
                    raise _NotNowError

        try:
            with suppress(_NotNowError):
                checkpoints.save(write)
        finally:
            (self._path / "save").unlink(missing_ok=True)
