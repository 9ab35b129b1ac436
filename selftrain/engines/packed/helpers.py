"""Other processes that answer from the same weights, so that every core samples.

Threads would not do: of a step on a small model a third is Python, and torch's own threads win a fifth where two
processes win the double. What a unit comes to does not depend on who answers it, so neither does a run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import safetensors.torch

from selftrain.record.rows import responses_of
from selftrain.types import Prompt, Response, Sampling

#: Seconds of answering alone before helpers are started: a short run would not win back what their start costs.
ALONE = 8.0
#: Helpers at most, and units by which they may be ahead of the one that is waited for.
AT_MOST, AHEAD = 7, 8
#: Where a helper finds this package, and what else this process finds packages by.
_PACKAGES, _THEIRS = str(Path(__file__).parents[3]), [*filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]

Ask = Callable[[Sequence[Prompt]], list[Response]]


class Helper:
    """
    Args:
        loading: what `helper.main` loads the model by.
    """

    def __init__(self, loading: Mapping[str, Any]) -> None:
        # A session of its own: Ctrl-C in the terminal is for the run, which ends its helpers by closing their input.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "selftrain.engines.packed.helper"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([_PACKAGES, *_THEIRS])},
        )  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to: IO[bytes] = self._process.stdin
        self._from: IO[bytes] = self._process.stdout
        self._weights: object = None
        self._loading = loading
        self.is_ready, self.is_gone = False, False
        threading.Thread(target=self._get_ready, name="helper", daemon=True).start()

    def _get_ready(self) -> None:
        try:
            self._say(self._loading)
            self.is_ready = self._from.readline() == b"ready\n"
        except OSError:
            self.is_gone = True

    def ask(self, request: Mapping[str, Any], weights: object, packed: Callable[[], bytes]) -> list[dict[str, Any]]:
        """Rows of responses.

        Args:
            weights: tells these weights from others; where they are new to the helper `packed` is sent along.

        Raises:
            OSError, ValueError: it is no more.
        """
        blob = packed() if weights != self._weights else b""
        self._say({**request, "weights": len(blob)}, blob)
        self._weights = weights
        rows: list[dict[str, Any]] = json.loads(self._from.readline())
        return rows

    def _say(self, words: Mapping[str, Any], blob: bytes = b"") -> None:
        self._to.write(json.dumps(words).encode() + b"\n" + blob)
        self._to.flush()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class Helpers:
    """
    Args:
        loading: see `Helper`.
        count: processes besides this one.
    """

    def __init__(self, loading: Mapping[str, Any], count: int) -> None:
        self._loading, self._count = loading, count
        self._helpers: list[Helper] | None = None
        self._alone = 0.0

    def answer(
        self, units: Sequence[Sequence[Prompt]], ask: Ask, n: int, sampling: Sampling, key: str, first: int,
        weights_version: int, model: Any, weights: object, text: Callable[[Prompt], str], name: str,
    ) -> Generator[list[Response], None, None]:  # fmt: skip
        """The answers to each unit, in order. `ask` answers in this process."""
        asked = {"n": n, "sampling": asdict(sampling), "key": key, "first": first, "version": weights_version}
        blob: list[bytes] = []
        packing = threading.Lock()

        def packed() -> bytes:
            with packing:
                if not blob:
                    live = {one: value.detach() for one, value in model.named_parameters()}
                    blob.append(safetensors.torch.save(live))
                return blob[0]

        def ask_helper(helper: Helper, unit: Sequence[Prompt]) -> list[Response]:
            prompts = [[one.problem_id, one.question, one.shots, one.posted] for one in unit]
            rows = helper.ask({**asked, "prompts": prompts}, weights, packed)
            return responses_of(rows, unit, n, text, name)

        work = _Work(units, ask_helper)
        try:
            for number in range(len(units)):
                while (mine := work.next_for_us(number, self._ready())) is not None:
                    began = time.monotonic()
                    work.put(mine, ask(units[mine]))
                    self._alone += time.monotonic() - began
                yield work.take(number)
        finally:
            work.stop()

    def _ready(self) -> list[Helper]:
        """Those that can be asked by now; the first who ask long enough start them."""
        if self._helpers is None and self._alone > ALONE:
            self._helpers = [Helper(self._loading) for _ in range(self._count)]
        return [one for one in self._helpers or () if one.is_ready and not one.is_gone]

    def close(self) -> None:
        for one in self._helpers or ():
            one.close()
        self._helpers = None


class _Work:
    """Units that are taken from one queue by this process and a thread for each helper."""

    def __init__(self, units: Sequence[Sequence[Prompt]], ask: Callable[[Helper, Sequence[Prompt]], list[Response]]):
        self._units, self._ask = units, ask
        self._todo = deque(range(len(units)))
        self._done: dict[int, list[Response]] = {}
        self._awaited = 0
        self._changed = threading.Condition()
        self._threads: dict[Helper, threading.Thread] = {}

    def next_for_us(self, awaited: int, helpers: Sequence[Helper]) -> int | None:
        """A unit for this process to answer; None once the one that is awaited is there."""
        for helper in helpers:
            if helper not in self._threads:
                self._threads[helper] = threading.Thread(target=self._serve, args=(helper,), daemon=True)
                self._threads[helper].start()
        with self._changed:
            self._awaited = awaited
            self._changed.notify_all()
            # A unit whose helper is gone comes back into the queue.
            self._changed.wait_for(lambda: awaited in self._done or self._todo)
            return None if awaited in self._done else self._todo.popleft()

    def put(self, number: int, responses: list[Response]) -> None:
        with self._changed:
            self._done[number] = responses
            self._changed.notify_all()

    def take(self, number: int) -> list[Response]:
        with self._changed:
            return self._done.pop(number)

    def stop(self) -> None:
        """Lets helpers end the unit in hand, for nobody."""
        with self._changed:
            self._todo.clear()
            self._changed.notify_all()
        for thread in self._threads.values():
            thread.join()

    def _serve(self, helper: Helper) -> None:
        while (number := self._next_for(helper)) is not None:
            try:
                self.put(number, self._ask(helper, self._units[number]))
            except (OSError, ValueError):
                # Killed, or out of memory: what it had in hand is answered by somebody else.
                helper.is_gone = True
                with self._changed:
                    self._todo.appendleft(number)
                    self._changed.notify_all()

    def _next_for(self, helper: Helper) -> int | None:
        with self._changed:
            self._changed.wait_for(lambda: not self._todo or self._todo[0] < self._awaited + AHEAD)
            return self._todo.popleft() if self._todo and not helper.is_gone else None


def further_cores() -> int:
    return min(AT_MOST, len(os.sched_getaffinity(0)) - 1) if hasattr(os, "sched_getaffinity") else 0
