"""The process of a follower: reads what to load, then what to do, from its standard input, until that is closed.

It knows nothing but a step's rows and the weights that came with them, so nothing is lost with it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from datetime import timedelta
from typing import IO, Any

import torch
import torch.distributed as dist

from selftrain.models.adapter import AdapterConfig
from selftrain.models.loading import load_model
from selftrain.models.rendering import Row
from selftrain.training import tensors
from selftrain.training.exchange import add_up, spread
from selftrain.training.gradients import Gradients, LossConfig

#: Seconds that one exchange may take, which all are ready for when it begins.
EXCHANGE = 120


def join(rank: int, size: int, store: str, device: torch.device) -> None:
    """Makes this the process `rank` of `size`, on one machine."""
    cuda = device.type == "cuda"
    dist.init_process_group(
        "nccl" if cuda else "gloo", init_method=f"file://{store}", rank=rank, world_size=size,
        timeout=timedelta(seconds=EXCHANGE), device_id=device if cuda else None,
    )  # fmt: skip


class Serving:
    """Does what it is asked; what it gives back, if anything, is the answer."""

    def __init__(self, model: str, revision: str, device: str, adapter: dict[str, Any]) -> None:
        how = AdapterConfig(**adapter)
        self._model = load_model(model, revision=revision, device=device, load_in_4bit=how.load_in_4bit).model
        if how.use_peft:
            from selftrain.training.lora import LoraAdapter

            LoraAdapter(self._model, how, model, revision)
        self._trained = [*tensors.live(self._model).values()]
        self._device = torch.device(device)
        if self._device.type == "cuda":
            torch.cuda.set_device(self._device)

    def join(self, rank: int, size: int, store: str, how: dict[str, Any]) -> None:
        join(rank, size, store, self._device)
        self._gradients = Gradients(self._model, LossConfig(**how))

    def share(self, batches: dict[str, list[Any]], divisor: float, key: str) -> dict[str, float | None]:
        """The loss of each micro-batch by its number, up to the first for which memory does not suffice."""
        self._gradients.forget()
        spread(self._trained)
        losses: dict[str, float | None] = {}
        for number, rows in batches.items():
            some = [Row(tuple(ids), prompt_length, weight) for ids, prompt_length, weight in rows]
            losses[number] = self._gradients.add(some, divisor, f"{key}/{number}")
            if losses[number] is None:
                self._gradients.forget()
                break
        return losses

    def add_up(self) -> None:
        add_up(self._trained)

    def leave(self) -> None:
        self._gradients.forget()
        dist.destroy_process_group()


def serve(source: IO[bytes], target: IO[bytes]) -> None:
    def say(answer: Any) -> None:
        target.write(json.dumps(answer).encode() + b"\n")
        target.flush()

    try:
        serving = Serving(**json.loads(source.readline()))
        say("ready")
        while line := source.readline():
            asked = json.loads(line)
            answer = getattr(serving, asked.pop("do"))(**asked)
            if answer is not None:
                say(answer)
    except Exception as error:
        # For the process that asked, which tells its user; here nobody reads.
        say({"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"})
        raise


def _leave_with(parent: int) -> None:
    """An exchange with a process that was killed may wait for ever, and does not read standard input."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()
    # Whatever a library prints goes nowhere, and not between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    serve(sys.stdin.buffer, answers.buffer)
