"""vLLM as the engine beside our own forward pass, on one core: what a start costs, and what an answer.

    OMP_NUM_THREADS=1 python -m benchmarks.by_vllm --vllm_python PYTHON [--repeats 3] [--prompts 32] [--samples 16]

The models and the work of `benchmarks.sampling`. vLLM's time is that of its whole process group on the CPU, so that
what else the machine does counts for little. Asserts nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import transformers

from benchmarks.models import SAMPLING, SIZES, make_model
from selftrain.computing import Computing
from selftrain.engines.base import Engine
from selftrain.engines.vllm.engine import VllmEngine
from selftrain.engines.vllm.settings import VllmSettings
from selftrain.loading import load_model
from selftrain.machinery import Loader
from selftrain.problems import load_problems
from selftrain.prompts import Prompting, make_prompts
from selftrain.seeds import seed_model
from selftrain.types import Prompt

_TICKS = os.sysconf("SC_CLK_TCK")


def seconds_of_group(leader: int) -> float:
    """On the CPU, of the processes of a group, those that have ended and were waited for among them."""
    total = 0
    for one in Path("/proc").iterdir():
        try:
            fields = (one / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if one.name.isdigit() and int(fields[2]) == leader:
            total += sum(map(int, fields[11:15]))
    return total / _TICKS


def tokens(engine: Engine, prompts: list[Prompt], samples: int) -> int:
    units = [[prompts[i] for i in unit] for unit in engine.plan(prompts, samples)]
    drawn = engine.generate_units(units, samples, SAMPLING, "benchmark", 0)
    return sum(len(one.token_ids) for unit in drawn for one in unit)


def measure(size: str, folder: str, asked: argparse.Namespace) -> list[str]:
    """Lines of the table."""
    prompts = make_prompts(load_problems("word_problems", max_problems=asked.prompts))
    settings = VllmSettings(
        vllm_python=asked.vllm_python, vllm_gpu_memory_utilization=0.06, vllm_enforce_eager=not asked.compiled,
        vllm_max_model_length=512,
    )  # fmt: skip
    vllm = Loader(Prompting(), computing=Computing(engine="vllm", device="cpu"), vllm=settings).load(folder).engine
    assert isinstance(vllm, VllmEngine)
    packed = Loader(Prompting(), computing=Computing(device="cpu", sampling_processes=1)).load(folder).engine
    began = time.monotonic()
    tokens(vllm, prompts[:1], 1)
    process = vllm._process
    assert process is not None
    start = f"start {seconds_of_group(process.pid):.0f} s of CPU time, {time.monotonic() - began:.0f} s on the clock"
    clocks: dict[str, tuple[Engine, Callable[[], float]]] = {
        f"{vllm.how}; {start}": (vllm, lambda: seconds_of_group(process.pid)),
        packed.how: (packed, time.process_time),
    }
    speeds: dict[str, list[float]] = {way: [] for way in clocks}
    for turn in range(asked.repeats + 1):
        for way, (engine, clock) in clocks.items():
            before = clock()
            written = tokens(engine, prompts, asked.samples)
            if turn:  # the first warms up
                speeds[way].append(written / (clock() - before))
    vllm.close()
    return [f"| {size} | {way} | {statistics.median(found):,.0f} |" for way, found in speeds.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm_python")
    parser.add_argument("--compiled", action="store_true", help="without --vllm_enforce_eager")
    for name, default in (("repeats", 3), ("prompts", 32), ("samples", 16)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    tokenizer = load_model(seed_model("llama"), device="cpu").tokenizer
    lines = []
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            make_model(size, tokenizer).model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            lines += measure(size, folder, asked)
    print(
        f"python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}; "
        f"load {os.getloadavg()[0]:.1f}; {asked.prompts} prompts, {asked.samples} samples each, medians of "
        f"{asked.repeats} turns\n"
    )
    print("| model | | tokens a second of CPU time |\n|---|---|---|")
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
