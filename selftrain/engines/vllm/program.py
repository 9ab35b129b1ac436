"""The program of vLLM's process: standard library and vLLM only, since another environment's Python may run it.

It is started with a folder that is its own, and reads lines of JSON from its standard input:

    {"load": {"model": ..., ...}}           arguments of vLLM's LLM     -> {"ready": true}
    {"sampling": {...}, "units": [...]}     answers are asked for       -> {"unit": [...]} for each, in order

A line that cannot be obeyed is answered by {"error": "..."}. Once the input is closed or the parent is gone it ends,
with every process of its group.
"""

from __future__ import annotations

import json
import os
import queue
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

#: Requests that vLLM knows of at a time. More than it ever computes at once, so that none of its places stays empty.
KNOWN = 4096
#: Seconds between two looks at whether the parent lives.
LOOK = 1.0
_TRACKER = b"multiprocessing.resource_tracker"

Json = dict[str, Any]
Say = Callable[[Json], None]


def main(folder: str) -> None:
    # vLLM and its children print what they like; the answers go where nobody else writes.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        parent, lines = os.getppid(), queue.SimpleQueue[bytes]()
        threading.Thread(target=_read, args=(sys.stdin.buffer, lines, folder), daemon=True).start()
        threading.Thread(target=_outlive_nobody, args=(parent, folder), daemon=True).start()

        def say(words: Json) -> None:
            answers.write(json.dumps(words) + "\n")
            answers.flush()

        serve(lines, say)


def _read(source: IO[bytes], lines: queue.SimpleQueue[bytes], folder: str) -> None:
    """In a thread of its own: whoever asks is never kept waiting, and its end is seen while answers are computed."""
    for line in source:
        lines.put(line)
    _end(folder)


def _outlive_nobody(parent: int, folder: str) -> None:
    """The input stays open where somebody else inherited its other end; a change of parent cannot be missed."""
    while os.getppid() == parent:
        time.sleep(LOOK)
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
    """Processes of the group that this one leads, which vLLM's workers are of.

    Not Python's tracker of shared memory, which removes what the dead have left and then ends by itself.
    """
    found = []
    for one in Path("/proc").iterdir():
        with suppress(OSError):
            if one.name.isdigit() and int(one.name) != os.getpid():
                state, _, group = (one / "stat").read_text().rpartition(")")[2].split()[:3]
                if int(group) == os.getpgrp() and state != "Z" and _TRACKER not in (one / "cmdline").read_bytes():
                    found.append(int(one.name))
    return found


def serve(lines: queue.SimpleQueue[bytes], say: Say) -> None:
    # It takes its time, and weights are being written meanwhile. What is wrong with it is said once it is asked for.
    with suppress(Exception):
        _vllm()
    llm: Any = None
    while True:
        asked: Json = json.loads(lines.get())
        try:
            if "load" in asked:
                llm = load(asked["load"])
                say({"ready": True})
            else:
                for unit in answer(llm, asked["sampling"], asked["units"]):
                    say({"unit": unit})
        except Exception as error:
            traceback.print_exc()
            say({"error": f"{type(error).__name__}: {error}"})


def _vllm() -> Any:
    import vllm

    assert vllm.LLM  # only then is it all imported
    return vllm


def load(arguments: Json) -> Any:
    from vllm.platforms import current_platform

    if current_platform.is_cpu():
        # A prompt that is read in two parts makes it step a seed back, which on a CPU it cannot (0.32.0).
        arguments["enable_chunked_prefill"] = False
    return _vllm().LLM(**arguments)


def answer(llm: Any, sampling: Json, units: list[list[Json]]) -> Iterator[list[Json]]:
    """The rows of each unit, in order. All units are one stream, so that none waits for the last answer of another.

    What vLLM knows of at a time follows from what it was asked and answered, not from a clock.
    """
    requests = _requests(sampling, units)
    places: dict[str, tuple[int, int]] = {}
    rows: dict[int, list[Json | None]] = {
        number: [None] * sum(len(prompt["seeds"]) for prompt in unit) for number, unit in enumerate(units)
    }
    for number in range(len(units)):
        while None in rows[number]:
            places |= _enqueue(llm, islice(requests, KNOWN - llm.llm_engine.get_num_unfinished_requests()))
            for output in llm.llm_engine.step():
                if output.finished:
                    its_unit, place = places.pop(output.request_id)
                    rows[its_unit][place] = _row(output.outputs[0])
        yield [row for row in rows.pop(number) if row is not None]


def _enqueue(llm: Any, some: Iterator[tuple[tuple[int, int], Json, Any]]) -> dict[str, tuple[int, int]]:
    """Places in `units` by the names that the answers will come under."""
    asked = list(some)
    if not asked:
        return {}
    names = llm.enqueue([prompt for _, prompt, _ in asked], [params for _, _, params in asked], use_tqdm=False)
    # Within vLLM a request is known by its name and some characters of chance.
    return {name.partition("-")[0]: place for name, (place, _, _) in zip(names, asked, strict=True)}


def _requests(sampling: Json, units: list[list[Json]]) -> Iterator[tuple[tuple[int, int], Json, Any]]:
    """Place in `units`, prompt and parameters of every answer: one request each, since its seed is its own."""
    from vllm import SamplingParams

    for number, unit in enumerate(units):
        one_each = [(prompt, seed) for prompt in unit for seed in prompt["seeds"]]
        for place, (prompt, seed) in enumerate(one_each):
            params = SamplingParams(
                **sampling, seed=seed, stop=prompt["stop"], detokenize=bool(prompt["stop"]), logprobs=0, ignore_eos=True
            )
            yield (number, place), {"prompt_token_ids": prompt["ids"]}, params


def _row(output: Any) -> Json:
    if output.finish_reason not in ("stop", "length"):
        raise RuntimeError(f"an answer was ended by {output.finish_reason!r}")
    ids = list(output.token_ids)
    logprobs = [at[token].logprob for at, token in zip(output.logprobs, ids, strict=True)]
    return {"token_ids": ids, "logprobs": logprobs, "ended": output.finish_reason == "stop"}


if __name__ == "__main__":
    main(sys.argv[1])
