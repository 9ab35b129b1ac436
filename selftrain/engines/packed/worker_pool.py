"""Other processes that answer from the same weights, so that every core of this machine samples.

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
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import safetensors.torch

from selftrain.engines.workers import WorkerLostError, answer_all
from selftrain.engines.workers.requests import Question, problems_of
from selftrain.models.merging import merged_weights
from selftrain.types import Prompt, Response

#: Seconds of answering alone before helpers are started: a short run would not win back what their start costs.
ALONE = 8.0
#: Helpers at most, and units by which they may be ahead of the one that is waited for.
AT_MOST, AHEAD = 7, 8
#: Where a helper finds this package, and what else this process finds packages by.
_PACKAGES, _THEIRS = str(Path(__file__).parents[3]), [*filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]

Ask = Callable[[Sequence[Prompt]], list[Response]]


class WorkerProcess:
    """
    Args:
        loading: what `worker.main` loads the model by.
    """

    def __init__(self, loading: Mapping[str, Any]) -> None:
        # A session of its own: Ctrl-C in the terminal is for the run, which ends its helpers by closing their input.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "selftrain.engines.packed.worker"],
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
            WorkerLostError: it was killed, or is out of memory.
        """
        blob = packed() if weights != self._weights else b""
        try:
            self._say({**request, "weights": len(blob)}, blob)
            self._weights = weights
            rows: list[dict[str, Any]] = json.loads(self._from.readline())
        except (OSError, ValueError) as error:
            raise WorkerLostError(f"a sampling process is gone: {error}") from error
        return rows

    def _say(self, words: Mapping[str, Any], blob: bytes = b"") -> None:
        self._to.write(json.dumps(words).encode() + b"\n" + blob)
        self._to.flush()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class WorkerPool:
    """The helpers of one model.

    Args:
        loading: see `WorkerProcess`.
        count: processes besides this one.
    """

    def __init__(self, loading: Mapping[str, Any], count: int) -> None:
        self._loading, self._count = loading, count
        self._workers: list[WorkerProcess] | None = None
        self._alone = 0.0

    def answer(
        self, units: Sequence[Sequence[Prompt]], ask: Ask, question: Question, model: Any, weights: object,
        text: Callable[[Prompt], str], name: str,
    ) -> Generator[list[Response], None, None]:  # fmt: skip
        """The answers to each unit, in order. `ask` answers in this process."""
        blob: list[bytes] = []
        packing = threading.Lock()

        def packed() -> bytes:
            with packing:
                if not blob:
                    blob.append(safetensors.torch.save(merged_weights(model)))
                return blob[0]

        def ask_helper(worker: WorkerProcess, unit: Sequence[Prompt]) -> list[Response]:
            return question.responses(worker.ask(question.of(unit), weights, packed), unit, text, name)

        def timed(unit: Sequence[Prompt]) -> list[Response]:
            began = time.monotonic()
            responses = ask(unit)
            self._alone += time.monotonic() - began
            return responses

        return answer_all(units, self, ask_helper, timed, problems_of)

    def ready(self) -> list[WorkerProcess]:
        """Those that can be asked by now; the first who ask long enough start them."""
        if self._workers is None and self._alone > ALONE:
            self._workers = [WorkerProcess(self._loading) for _ in range(self._count)]
        return [one for one in self._workers or () if one.is_ready and not one.is_gone]

    def is_helped(self) -> bool:
        """This process has a core of its own to answer on."""
        return False

    def close(self) -> None:
        for one in self._workers or ():
            one.close()
        self._workers = None


def further_cores() -> int:
    return min(AT_MOST, len(os.sched_getaffinity(0)) - 1) if hasattr(os, "sched_getaffinity") else 0
