"""Two Ray workers against one, taking turns on the same job of sampling: nodes of a core each on this machine.

    OMP_NUM_THREADS=1 python -m benchmarks.cluster [--repeats 3] [--problems 2000] [--samples 16]

Workers are ready and have the model before the clock starts: a start costs what the first line says. Prints for each
turn the tokens a second of wall time, and the share of a core that the workers had; asserts nothing.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

from benchmarks.models import SAMPLING
from benchmarks.nodes import two_nodes
from selftrain.engines.config import EngineConfig
from selftrain.engines.ray.backend import open_cluster
from selftrain.engines.ray.config import RayConfig
from selftrain.loop.model_factory import ModelFactory
from selftrain.models.prompts import PromptConfig, make_prompts
from selftrain.models.seeds import seed_model
from selftrain.problems import load_problems
from selftrain.types import Prompt


def cpu_seconds(workers: list[Any]) -> float:
    import ray

    return float(sum(ray.get([one._actor.__ray_call__.remote(lambda _: time.process_time()) for one in workers])))


def turn(count: int, address: str, prompts: list[Prompt], samples: int) -> tuple[float, float, float]:
    """Seconds until workers could be asked, tokens a second, and cores that the workers had."""
    began = time.monotonic()
    with open_cluster(RayConfig(ray=True, ray_address=address, ray_workers=count), print) as ray_backend:
        learner = ModelFactory(PromptConfig(), EngineConfig(), ray=ray_backend).load(seed_model("llama"))
        workers: list[Any] = []
        while len(workers) < count:
            time.sleep(0.1)
            assert ray_backend.workers is not None
            workers = list(ray_backend.workers.ready())
        while not all(one.tasks_done > 2 for one in workers):
            learner.sample(prompts[:64], samples, SAMPLING, "warm")
        started, before = time.monotonic(), cpu_seconds(workers)
        responses = learner.sample(prompts, samples, SAMPLING, "measured")
        seconds, cpu = time.monotonic() - started, cpu_seconds(workers) - before
    tokens = sum(len(one.token_ids) for one in responses)
    print(f"{count} workers: {tokens:,} tokens in {seconds:.1f} s, cpu/wall {cpu / seconds:.2f}", flush=True)
    return started - began, tokens / seconds, cpu / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--problems", type=int, default=2000)
    parser.add_argument("--samples", type=int, default=16)
    asked = parser.parse_args()
    import ray
    import torch

    prompts = make_prompts(load_problems("word_problems", split="test", max_problems=asked.problems))
    with two_nodes() as address:
        turns = [[turn(count, address, prompts, asked.samples) for count in (1, 2)] for _ in range(asked.repeats)]
    print(f"ray {ray.__version__}, torch {torch.__version__}; until workers could be asked: {turns[0][0][0]:.1f} s")
    for place, count in enumerate((1, 2)):
        speeds = [one[place][1] for one in turns]
        cores = statistics.median(one[place][2] for one in turns)
        print(f"{count} workers: median {statistics.median(speeds):,.0f} tokens a second, cpu/wall {cores:.2f}")
    ratios = [two[1] / one[1] for one, two in turns]
    print(f"two against one: median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
