"""The process of a follower: reads what to load, then commands, from standard input until that is closed.

It holds nothing but the micro-batches of a step and the weights that came with them, so nothing is lost with it.
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
from selftrain.models.rendering import TokenizedExample
from selftrain.training import tensors
from selftrain.training.exchange import broadcast_weights, reduce_gradients
from selftrain.training.gradients import GradientAccumulator, LossConfig

#: Seconds that one collective operation may take; all processes are ready for it when it starts.
TIMEOUT = 120


def join_group(rank: int, size: int, store: str, device: torch.device) -> None:
    """Makes this the process `rank` of `size`, all on one machine."""
    cuda = device.type == "cuda"
    dist.init_process_group(
        "nccl" if cuda else "gloo", init_method=f"file://{store}", rank=rank, world_size=size,
        timeout=timedelta(seconds=TIMEOUT), device_id=device if cuda else None,
    )  # fmt: skip


class Commands:
    """One method per command; what it returns, if anything, is the reply."""

    def __init__(self, model: str, revision: str, device: str, adapter: dict[str, Any]) -> None:
        config = AdapterConfig(**adapter)
        self._model = load_model(model, revision=revision, device=device, load_in_4bit=config.load_in_4bit).model
        if config.use_peft:
            from selftrain.training.lora import LoraAdapter

            LoraAdapter(self._model, config, model, revision)
        self._weights = [*tensors.trainable(self._model).values()]
        self._device = torch.device(device)
        if self._device.type == "cuda":
            torch.cuda.set_device(self._device)

    def join(self, rank: int, size: int, store: str, loss: dict[str, Any]) -> None:
        join_group(rank, size, store, self._device)
        self._gradients = GradientAccumulator(self._model, LossConfig(**loss))

    def accumulate(self, batches: dict[str, list[Any]], divisor: float, key: str) -> dict[str, float | None]:
        """The loss of each micro-batch by its number, up to the first where memory runs out."""
        self._gradients.zero_grad()
        broadcast_weights(self._weights)
        losses: dict[str, float | None] = {}
        for number, batch in batches.items():
            examples = [TokenizedExample(tuple(ids), prompt_length, weight) for ids, prompt_length, weight in batch]
            losses[number] = self._gradients.add(examples, divisor, f"{key}/{number}")
            if losses[number] is None:
                self._gradients.zero_grad()
                break
        return losses

    def reduce(self) -> None:
        reduce_gradients(self._weights)

    def leave(self) -> None:
        self._gradients.zero_grad()
        dist.destroy_process_group()


def serve(source: IO[bytes], target: IO[bytes]) -> None:
    def reply(value: Any) -> None:
        target.write(json.dumps(value).encode() + b"\n")
        target.flush()

    try:
        commands = Commands(**json.loads(source.readline()))
        reply("ready")
        while line := source.readline():
            arguments = json.loads(line)
            value = getattr(commands, arguments.pop("command"))(**arguments)
            if value is not None:
                reply(value)
    except Exception as error:
        # The main process reports it to the user; nobody reads this process's standard error.
        reply({"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"})
        raise


def _exit_with(parent: int) -> None:
    """A collective operation with a killed process may wait for ever, and does not read standard input."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_exit_with, args=(os.getppid(),), daemon=True).start()
    # Nothing that a library prints may get between the replies.
    replies, sys.stdout = sys.stdout, sys.stderr
    serve(sys.stdin.buffer, replies.buffer)
