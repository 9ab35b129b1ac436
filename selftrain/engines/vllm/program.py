"""The program of vLLM's process: standard library and vLLM only, since another environment's Python may run it.

It is started with a folder of its own, and reads lines of JSON from its standard input:

    {"load": {"model": ..., ...}}       arguments of vLLM's LLM     -> {"ready": true}
    {"batches": [{"sampling": {...},    arguments of SamplingParams
                  "prompts": [{"ids": [...], "stop": [...], "seeds": [...]}]}]}
                                        a response per seed         -> {"batch": [...]} for each, in order
    {"sleep": 1 or 2}                   vLLM's level                -> {"slept": whether memory was freed}
    {"weights": folder}                 a whole model's             -> {"updated": true}
    {"adapter": folder, "id": number}   one that was not used yet   -> {"updated": true}
    {"held": {name: shape, ...}}        names as in a model's file  -> {"held": [sums of each worker]}

A line that fails is answered by {"error": "..."}. When the input is closed or the parent is gone it ends, with every
process of its group.
"""

from __future__ import annotations

import json
import os
import queue
import runpy
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any

#: Requests that vLLM is given at a time: more than it ever computes at once, so that none of its slots stays empty.
MAX_QUEUED = 4096
#: Seconds between two checks whether the parent lives.
PARENT_CHECK = 1.0
#: Functions for vLLM's workers, which get them pickled with all they need, as they are of no module.
IN_WORKER = runpy.run_path(str(Path(__file__).with_name("in_worker.py")))
_TRACKER = b"multiprocessing.resource_tracker"

Json = dict[str, Any]
Send = Callable[[Json], None]


def main(folder: str) -> None:
    # vLLM and its children may print; responses go where nobody else writes.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as target:
        os.dup2(2, 1)
        parent, lines = os.getppid(), queue.SimpleQueue[bytes]()
        threading.Thread(target=_read, args=(sys.stdin.buffer, lines, folder), daemon=True).start()
        threading.Thread(target=_end_with_parent, args=(parent, folder), daemon=True).start()

        def send(message: Json) -> None:
            target.write(json.dumps(message) + "\n")
            target.flush()

        serve(lines, send)


def _read(source: IO[bytes], lines: queue.SimpleQueue[bytes], folder: str) -> None:
    """In a thread of its own: the parent never waits to write, and the end of input is seen while vLLM computes."""
    for line in source:
        lines.put(line)
    _end(folder)


def _end_with_parent(parent: int, folder: str) -> None:
    """The input stays open where another process inherited its other end; a change of parent cannot be missed."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK)
    _end(folder)


def _end(folder: str) -> None:
    """Exit code 0: nothing is left."""
    while others := _others():
        for pid in others:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _others() -> list[int]:
    """Other processes of the group that this one leads, which includes vLLM's workers.

    Not Python's resource tracker, which removes the shared memory of dead processes and then ends by itself.
    """
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                state, _, group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
                if int(group) == os.getpgrp() and state != "Z" and _TRACKER not in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


def serve(lines: queue.SimpleQueue[bytes], send: Send) -> None:
    # The import takes its time, in which weights are written. Its errors are reported when vLLM is first used.
    with suppress(Exception):
        _vllm()
    model = Model()
    while True:
        message: Json = json.loads(lines.get())
        try:
            for answer in model.answers(message):
                send(answer)
        except Exception as error:
            traceback.print_exc()
            send({"error": f"{type(error).__name__}: {error}"})


class Model:
    """What this process has loaded."""

    def __init__(self) -> None:
        self.llm: Any = None
        #: A LoRARequest, or None for the model's own weights.
        self.adapter: Any = None
        self.asleep = False

    def answers(self, message: Json) -> Iterator[Json]:
        if "load" in message:
            self.llm = load(message["load"])
            yield {"ready": True}
        elif "sleep" in message:
            yield {"slept": self.sleep(message["sleep"])}
        elif "weights" in message:
            self.wake_up()
            self.llm.collective_rpc(IN_WORKER["reload_weights"], args=(message["weights"],))
            # What is cached of prompts was computed by the old weights.
            self.llm.reset_prefix_cache()
            yield {"updated": True}
        elif "adapter" in message:
            self.wake_up()
            self.change_adapter(message["adapter"], message["id"])
            yield {"updated": True}
        elif "held" in message:
            yield {"held": self.llm.collective_rpc(IN_WORKER["held"], args=(message["held"],))}
        else:
            for rows in generate(self.llm, message["batches"], self.adapter):
                yield {"batch": rows}

    def sleep(self, level: int) -> bool:
        if not self.llm.llm_engine.vllm_config.model_config.enable_sleep_mode:
            return False
        self.llm.sleep(level=level)
        self.asleep = True
        return True

    def wake_up(self) -> None:
        if self.asleep:
            self.llm.wake_up()
            self.asleep = False

    def change_adapter(self, folder: str, number: int) -> None:
        """Loaded now, since its folder will be gone. Prefixes are cached by its number."""
        from vllm.lora.request import LoRARequest

        if self.adapter is not None:
            self.llm.llm_engine.remove_lora(self.adapter.lora_int_id)
        self.adapter = LoRARequest(f"update-{number}", number, folder)
        if not self.llm.llm_engine.add_lora(self.adapter):
            raise RuntimeError("vLLM did not load the adapter")


def _vllm() -> Any:
    import vllm

    assert vllm.LLM  # imports the rest of it
    return vllm


def load(arguments: Json) -> Any:
    from vllm.platforms import current_platform

    if current_platform.is_cpu():
        # A prompt read in two chunks makes vLLM step a seeded generator back, which fails on a CPU (0.32.0).
        arguments["enable_chunked_prefill"] = False
    if not current_platform.is_sleep_mode_available():
        arguments["enable_sleep_mode"] = False
    return _vllm().LLM(**arguments)


def generate(llm: Any, batches: list[Json], adapter: Any) -> Iterator[list[Json]]:
    """The rows of each batch, in order. All batches are one stream: none waits for the last response of another.

    What vLLM is given at a time follows from requests and responses, not from a clock.
    """
    requests = _requests(batches)
    places: dict[str, tuple[int, int]] = {}
    rows: dict[int, list[Json | None]] = {
        number: [None] * sum(len(prompt["seeds"]) for prompt in batch["prompts"])
        for number, batch in enumerate(batches)
    }
    for number in range(len(batches)):
        while None in rows[number]:
            free = MAX_QUEUED - llm.llm_engine.get_num_unfinished_requests()
            places |= _enqueue(llm, islice(requests, free), adapter)
            for output in llm.llm_engine.step():
                if output.finished:
                    batch, place = places.pop(output.request_id)
                    rows[batch][place] = _row(output.outputs[0])
        yield [row for row in rows.pop(number) if row is not None]


def _enqueue(
    llm: Any, requests: Iterator[tuple[tuple[int, int], Json, Any]], adapter: Any
) -> dict[str, tuple[int, int]]:
    """Places in `batches` by request id."""
    chosen = list(requests)
    if not chosen:
        return {}
    prompts, params = [prompt for _, prompt, _ in chosen], [params for _, _, params in chosen]
    ids = llm.enqueue(prompts, params, lora_request=adapter, use_tqdm=False)
    # Outputs carry the id without the random suffix that vLLM appends.
    return {name.partition("-")[0]: place for name, (place, _, _) in zip(ids, chosen, strict=True)}


def _requests(batches: list[Json]) -> Iterator[tuple[tuple[int, int], Json, Any]]:
    """Place in `batches`, prompt and parameters of every response: one request each, as each has its own seed."""
    from vllm import SamplingParams

    for number, batch in enumerate(batches):
        pairs = [(prompt, seed) for prompt in batch["prompts"] for seed in prompt["seeds"]]
        for place, (prompt, seed) in enumerate(pairs):
            params = SamplingParams(
                **batch["sampling"],
                seed=seed,
                stop=prompt["stop"],
                detokenize=bool(prompt["stop"]),
                logprobs=0,
                ignore_eos=True,
            )
            yield (number, place), {"prompt_token_ids": prompt["ids"]}, params


def _row(output: Any) -> Json:
    if output.finish_reason not in ("stop", "length"):
        raise RuntimeError(f"a response ended by {output.finish_reason!r}")
    ids = list(output.token_ids)
    logprobs = [at[token].logprob for at, token in zip(output.logprobs, ids, strict=True)]
    return {"token_ids": ids, "logprobs": logprobs, "ended": output.finish_reason == "stop"}


if __name__ == "__main__":
    main(sys.argv[1])
