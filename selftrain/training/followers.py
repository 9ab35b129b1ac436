"""Further processes that take their share of every step; all that lasts stays in this one."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import torch
import torch.distributed as dist

from selftrain.errors import RunError, SettingsError
from selftrain.models.logprobs import on_threads
from selftrain.models.rendering import Row
from selftrain.training import tensors
from selftrain.training.exchange import add_up, spread
from selftrain.training.follower import join
from selftrain.training.gradients import LossConfig

#: Seconds that a follower may take longer than we do, for its start and for its share of a step.
PATIENCE = 600.0
#: Where a follower finds this package, and what else this process finds packages by.
_PACKAGES, _THEIRS = str(Path(__file__).parents[2]), [*filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]


class Follower:
    """
    Args:
        loading: see `follower.Serving`.
        threads: of its matrix products on a CPU.
    """

    def __init__(self, loading: Mapping[str, Any], threads: int) -> None:
        # A session of its own: Ctrl-C in the terminal is for the run, which ends its followers by closing their input.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "selftrain.training.follower"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
            env=os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": os.pathsep.join([_PACKAGES, *_THEIRS])},
        )  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to: IO[bytes] = self._process.stdin
        self._from: IO[bytes] = self._process.stdout
        self.say(loading)

    @property
    def is_gone(self) -> bool:
        return self._process.poll() is not None

    def say(self, words: Mapping[str, Any]) -> None:
        try:
            self._to.write(json.dumps(words).encode() + b"\n")
            self._to.flush()
        except OSError:
            raise self.failure() from None

    def hear(self) -> Any:
        """Its next answer.

        Raises:
            RunError: it has none to give.
        """
        if not select.select([self._from], [], [], PATIENCE)[0]:
            raise _failed(f"has said nothing for {PATIENCE:.0f} seconds")
        answer = json.loads(self._from.readline() or b"null")
        if answer is None or "error" in answer:
            raise self.failure(answer)
        return answer

    def failure(self, answer: Mapping[str, str] | None = None) -> RunError:
        """What became of it, by its last words or by how it ended."""
        with suppress(OSError, ValueError):
            if answer is None and select.select([self._from], [], [], 5)[0]:
                answer = json.loads(self._from.readline())
        if answer and "error" in answer:
            return _failed(f"failed: {answer['error']}")
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(5)
            return _failed(f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}")
        return _failed("no longer answers")

    def close(self) -> None:
        self._process.kill()
        # What is left to be written to it is for nobody.
        with suppress(OSError):
            self._to.close()
        self._from.close()
        self._process.wait()


def _failed(what: str) -> RunError:
    return RunError(
        f"a process that trains along {what}",
        "its share of the step is missing, so the step was not made",
        "resume the run; where memory ran out, with --training_processes lower it has to be another run",
    )


class Followers:
    """
    Args:
        loading: what the model is loaded by, apart from its device.
        devices: of each follower.
    """

    def __init__(self, loading: Mapping[str, Any], devices: Sequence[str]) -> None:
        self._loading, self._devices = loading, devices
        self._followers: list[Follower] = []

    @property
    def size(self) -> int:
        """Processes, with this one."""
        return len(self._devices) + 1

    @contextmanager
    def joined(self, model: Any, how: LossConfig) -> Iterator[None]:
        """They are there within.

        Raises:
            RunError: one cannot be had, or fails; all are ended.
        """
        with tempfile.TemporaryDirectory() as folder:
            try:
                self._start()
                store = f"{folder}/store"
                for rank, one in enumerate(self._followers, start=1):
                    one.say({"do": "join", "rank": rank, "size": self.size, "store": store, "how": asdict(how)})
                join(0, self.size, store, model.device)
                yield
                for one in self._followers:
                    one.say({"do": "leave"})
            except BaseException:
                # Before the group is: an exchange with one that is stopped would be waited for.
                self.close()
                raise
            finally:
                if dist.is_initialized():
                    dist.destroy_process_group()

    def sharing_cores(self) -> AbstractContextManager[None]:
        """On a CPU each process has its part of the threads that we have without them."""
        return on_threads(max(1, torch.get_num_threads() // self.size))

    def _start(self) -> None:
        if not self._followers:
            threads = max(1, torch.get_num_threads() // self.size)
            self._followers = [Follower({**self._loading, "device": one}, threads) for one in self._devices]
            for one in self._followers:
                one.hear()

    def ask(self, model: Any, batches: Sequence[Mapping[int, Sequence[Row]]], divisor: float, key: str) -> None:
        """Sends the weights as they are now, and to each follower its micro-batches by their numbers in the step."""
        for one, share in zip(self._followers, batches, strict=True):
            rows = {
                number: [[row.token_ids, row.prompt_length, row.weight] for row in some]
                for number, some in share.items()
            }
            one.say({"do": "share", "batches": rows, "divisor": divisor, "key": key})
        self._exchange(spread, model)

    def losses(self) -> dict[int, float | None]:
        """Of their micro-batches, by number; None where memory did not suffice."""
        return {int(number): loss for one in self._followers for number, loss in one.hear().items()}

    def add_up(self, model: Any) -> None:
        """Adds their gradients to ours."""
        for one in self._followers:
            one.say({"do": "add_up"})
        self._exchange(add_up, model)

    def _exchange(self, what: Any, model: Any) -> None:
        try:
            what([*tensors.live(model).values()], self._wait)
        except RuntimeError as error:
            # The library's words say only that a connection was closed.
            gone = next((one for one in self._followers if one.is_gone), self._followers[0])
            raise gone.failure() from error

    def _wait(self, work: dist.Work) -> None:
        while not work.is_completed():
            if any(one.is_gone for one in self._followers):
                raise RuntimeError("one is gone")
            time.sleep(1e-4)
        work.wait()

    def close(self) -> None:
        for one in self._followers:
            one.close()
        self._followers = []


def shares(sizes: Sequence[int], count: int) -> list[list[int]]:
    """Which micro-batches, by number, each of `count` processes takes: the largest first, to the least laden."""
    found: list[list[int]] = [[] for _ in range(count)]
    laden = [0] * count
    for number in sorted(range(len(sizes)), key=lambda one: -sizes[one]):
        least = laden.index(min(laden))
        found[least].append(number)
        laden[least] += sizes[number]
    return [sorted(one) for one in found]


def devices_beside(device: torch.device, processes: int) -> list[str]:
    """What each of the further processes computes on.

    Raises:
        SettingsError: there are not as many GPUs.
    """
    if device.type != "cuda":
        return [str(device)] * (processes - 1)
    there = torch.cuda.device_count()
    if processes > there:
        raise SettingsError(
            f"training_processes is {processes}, and there are {there} GPUs",
            "each process of a training has one of its own",
            f"set --training_processes {there}",
        )
    ours = torch.cuda.current_device() if device.index is None else device.index
    return [f"cuda:{one}" for one in range(there) if one != ours][: processes - 1]
