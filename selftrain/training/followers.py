"""Further processes that compute a part of every step's gradients; all state stays in this one."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import torch
import torch.distributed as dist
from torch import Tensor

from selftrain.errors import RunError, SettingsError
from selftrain.models.logprobs import torch_threads
from selftrain.models.rendering import TokenizedExample
from selftrain.training import tensors
from selftrain.training.exchange import Wait, broadcast_weights, reduce_gradients
from selftrain.training.follower import join_group
from selftrain.training.gradients import LossConfig

#: Seconds that a follower may take longer than this process, for its start and for its part of a step.
REPLY_TIMEOUT = 600.0
#: PYTHONPATH of a follower: this package first. Without empty entries, which would mean the working folder.
_PYTHONPATH = os.pathsep.join(
    filter(None, [str(Path(__file__).parents[2]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
)


class Follower:
    """
    Args:
        load: arguments of `follower.Commands`.
        threads: of torch, on a CPU.
    """

    def __init__(self, load: Mapping[str, Any], threads: int) -> None:
        # A session of its own: Ctrl-C in the terminal must reach the run only, which then ends its followers.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "selftrain.training.follower"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
            env=os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": _PYTHONPATH},
        )  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input: IO[bytes] = self._process.stdin
        self._output: IO[bytes] = self._process.stdout
        self.send(load)

    @property
    def has_exited(self) -> bool:
        return self._process.poll() is not None

    def send(self, message: Mapping[str, Any]) -> None:
        try:
            self._input.write(json.dumps(message).encode() + b"\n")
            self._input.flush()
        except OSError:
            raise self.failure() from None

    def receive(self) -> Any:
        """
        Raises:
            RunError: it has failed, exited, or sent nothing for `REPLY_TIMEOUT`.
        """
        if not select.select([self._output], [], [], REPLY_TIMEOUT)[0]:
            raise _failed(f"has sent nothing for {REPLY_TIMEOUT:.0f} seconds")
        reply = json.loads(self._output.readline() or b"null")
        if reply is None or "error" in reply:
            raise self.failure(reply)
        return reply

    def failure(self, reply: Mapping[str, str] | None = None) -> RunError:
        """Why it failed, by its own message or its exit code."""
        with suppress(OSError, ValueError):
            if reply is None and select.select([self._output], [], [], 5)[0]:
                reply = json.loads(self._output.readline())
        if reply and "error" in reply:
            return _failed(f"failed: {reply['error']}")
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(5)
            return _failed(f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}")
        return _failed("does not reply")

    def close(self) -> None:
        self._process.kill()
        with suppress(OSError):  # closing flushes, and nobody reads that
            self._input.close()
        self._output.close()
        self._process.wait()


def _failed(what: str) -> RunError:
    return RunError(
        f"a training process {what}",
        "its part of the gradients is missing, so the step was not made",
        "resume the run; if it ran out of memory, start another run with fewer --training_processes",
    )


class Followers:
    """
    Args:
        load: arguments of `follower.Commands` but for the device.
        devices: one per follower.
    """

    def __init__(self, load: Mapping[str, Any], devices: Sequence[str]) -> None:
        self._load, self._devices = load, devices
        self._followers: list[Follower] = []

    @property
    def size(self) -> int:
        """Number of processes, this one included."""
        return len(self._devices) + 1

    @contextmanager
    def joined(self, model: Any, loss: LossConfig) -> Iterator[None]:
        """Inside, all processes are one process group.

        Raises:
            RunError: one does not start, or fails; all are ended.
        """
        with tempfile.TemporaryDirectory() as folder:
            try:
                self._start()
                store = f"{folder}/store"
                for rank, one in enumerate(self._followers, start=1):
                    one.send({"command": "join", "rank": rank, "size": self.size, "store": store, "loss": asdict(loss)})
                join_group(0, self.size, store, model.device)
                yield
                for one in self._followers:
                    one.send({"command": "leave"})
            except BaseException:
                # Before the group is destroyed, which would wait for an operation with a stopped process.
                self.close()
                raise
            finally:
                if dist.is_initialized():
                    dist.destroy_process_group()

    def sharing_cores(self) -> AbstractContextManager[None]:
        """On a CPU the threads of this process are shared out among all of them."""
        return torch_threads(max(1, torch.get_num_threads() // self.size))

    def _start(self) -> None:
        if not self._followers:
            threads = max(1, torch.get_num_threads() // self.size)
            self._followers = [Follower({**self._load, "device": device}, threads) for device in self._devices]
            for one in self._followers:
                one.receive()

    def send(
        self, model: Any, batches: Sequence[Mapping[int, Sequence[TokenizedExample]]], divisor: float, key: str
    ) -> None:
        """Sends the current weights, and to each follower its micro-batches by their numbers in the step."""
        for one, share in zip(self._followers, batches, strict=True):
            rows = {
                number: [[e.token_ids, e.prompt_length, e.weight] for e in batch] for number, batch in share.items()
            }
            one.send({"command": "accumulate", "batches": rows, "divisor": divisor, "key": key})
        self._exchange(broadcast_weights, model)

    def losses(self) -> dict[int, float | None]:
        """Of their micro-batches, by number; None where memory ran out."""
        return {int(number): loss for one in self._followers for number, loss in one.receive().items()}

    def add_gradients(self, model: Any) -> None:
        """Adds their gradients to those of this process."""
        for one in self._followers:
            one.send({"command": "reduce"})
        self._exchange(reduce_gradients, model)

    def _exchange(self, operation: Callable[[Sequence[Tensor], Wait], None], model: Any) -> None:
        try:
            operation([*tensors.trainable(model).values()], self._wait)
        except RuntimeError as error:
            # Its message says only that a connection was closed.
            gone = next((one for one in self._followers if one.has_exited), self._followers[0])
            raise gone.failure() from error

    def _wait(self, work: dist.Work) -> None:
        while not work.is_completed():
            if any(one.has_exited for one in self._followers):
                raise RuntimeError("a follower has exited")
            time.sleep(1e-4)
        work.wait()

    def close(self) -> None:
        for one in self._followers:
            one.close()
        self._followers = []


def assign_batches(sizes: Sequence[int], processes: int) -> list[list[int]]:
    """Numbers of the micro-batches of each process: the largest first, to the process with least work."""
    assigned: list[list[int]] = [[] for _ in range(processes)]
    work = [0] * processes
    for number in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        least = work.index(min(work))
        assigned[least].append(number)
        work[least] += sizes[number]
    return [sorted(numbers) for numbers in assigned]


def follower_devices(device: torch.device, processes: int) -> list[str]:
    """The device of each further process.

    Raises:
        SettingsError: there are not as many GPUs.
    """
    if device.type != "cuda":
        return [str(device)] * (processes - 1)
    count = torch.cuda.device_count()
    if processes > count:
        raise SettingsError(
            f"training_processes is {processes}, and there are {count} GPUs",
            "each process of a training needs one of its own",
            f"set --training_processes {count}",
        )
    own = torch.cuda.current_device() if device.index is None else device.index
    return [f"cuda:{index}" for index in range(count) if index != own][: processes - 1]
