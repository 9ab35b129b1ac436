"""Further processes that generate from the same weights, so that every core of this machine samples.

Threads would not do: a third of a step on a small model is Python, and torch's own threads gain a fifth where a second
process doubles the speed. Responses do not depend on who generates them, so a run does not either.
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

from selftrain.engines.base import Engine
from selftrain.engines.packed.weights import fingerprint
from selftrain.engines.request import GenerateRequest
from selftrain.engines.transformers import ModelSpec
from selftrain.engines.workers import WorkerLostError, run_tasks
from selftrain.models.merging import merged_weights
from selftrain.types import Response

#: Seconds of generating alone before workers are started: a shorter run would not win back what their start costs.
START_AFTER = 8.0
MAX_WORKERS = 7
#: Where a worker finds this package, and what PYTHONPATH names already.
_PACKAGES = str(Path(__file__).parents[3])
_PYTHONPATH = [*filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]


class WorkerProcess:
    """
    Args:
        spec: what it loads.
    """

    def __init__(self, spec: ModelSpec) -> None:
        # A session of its own: Ctrl-C in the terminal is for the run, which ends its workers by closing their input.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "selftrain.engines.packed.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([_PACKAGES, *_PYTHONPATH])},
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin: IO[bytes] = self._process.stdin
        self._stdout: IO[bytes] = self._process.stdout
        self._weights: object = None
        self.is_ready, self.is_lost = False, False
        self.batches_done = 0
        threading.Thread(target=self._start, args=(spec,), name="worker start", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def _start(self, spec: ModelSpec) -> None:
        try:
            self._send(spec.to_json())
            self.is_ready = self._stdout.readline() == b"ready\n"
        except OSError:
            self.is_lost = True

    def generate(self, request: GenerateRequest, weights: object, packed: Callable[[], bytes]) -> list[dict[str, Any]]:
        """Rows of responses.

        Args:
            weights: equal for equal weights; where the worker has others it is sent what `packed` returns.

        Raises:
            WorkerLostError: it was killed, or ran out of memory.
        """
        blob = packed() if weights != self._weights else b""
        try:
            self._send({"request": request.to_json(), "weight_bytes": len(blob)}, blob)
            self._weights = weights
            rows: list[dict[str, Any]] = json.loads(self._stdout.readline())
        except (OSError, ValueError) as error:
            raise WorkerLostError(f"a sampling process ended: {error}") from error
        self.batches_done += 1
        return rows

    def _send(self, message: Mapping[str, Any], blob: bytes = b"") -> None:
        self._stdin.write(json.dumps(message).encode() + b"\n" + blob)
        self._stdin.flush()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class WorkerPool:
    """The worker processes of one model.

    Args:
        spec: see `WorkerProcess`.
        count: processes besides this one.
        start_after: seconds of generating alone before they are started.
    """

    def __init__(self, spec: ModelSpec, count: int, start_after: float = START_AFTER) -> None:
        self._spec, self._count, self._start_after = spec, count, start_after
        self.workers: list[WorkerProcess] = []
        self._seconds_alone = 0.0

    def generate_batches(
        self, engine: Engine, model: Any, requests: Sequence[GenerateRequest]
    ) -> Generator[list[Response], None, None]:
        """The responses to each request, in order.

        Args:
            engine: generates in this process.
            model: its module.
        """
        weights, blobs, packing = fingerprint(model), list[bytes](), threading.Lock()

        def packed() -> bytes:
            with packing:
                if not blobs:
                    blobs.append(safetensors.torch.save(merged_weights(model)))
                return blobs[0]

        def remote(worker: WorkerProcess, request: GenerateRequest) -> list[Response]:
            return request.responses(worker.generate(request, weights, packed), engine.prompt_text, engine.name)

        def local(request: GenerateRequest) -> list[Response]:
            began = time.monotonic()
            responses = engine.generate(request)
            self._seconds_alone += time.monotonic() - began
            return responses

        return run_tasks(requests, self, remote=remote, local=local, describe=GenerateRequest.describe)

    def ready(self) -> list[WorkerProcess]:
        if not self.workers and self._seconds_alone >= self._start_after:
            self.workers = [WorkerProcess(self._spec) for _ in range(self._count)]
        return [worker for worker in self.workers if worker.is_ready and not worker.is_lost]

    def works_locally(self) -> bool:
        """This process has a core of its own."""
        return True

    def close(self) -> None:
        for worker in self.workers:
            worker.close()
        self.workers = []


def spare_cores() -> int:
    """Further processes that this machine has cores for."""
    return min(MAX_WORKERS, len(os.sched_getaffinity(0)) - 1) if hasattr(os, "sched_getaffinity") else 0
