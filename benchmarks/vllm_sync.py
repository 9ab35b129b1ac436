"""SePT with a vLLM that keeps running, and with one that ends before every training.

    python -m benchmarks.vllm_sync --vllm_python PY [--model llama] [--rounds 20] [--problems 64]

The demo's settings with the same seed, one run after the other. Prints how often vLLM was started, the time of each
run, and how many responses and greedy answers of the two are the same, token for token; asserts nothing.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from benchmarks.turns import machine, table
from selftrain.cli.demo import PROMPTS, RECIPES
from selftrain.engines.config import EngineConfig
from selftrain.engines.vllm.config import VllmConfig
from selftrain.loop.collapse_monitor import MonitorConfig
from selftrain.methods.sept import SePT, SePTEvalConfig
from selftrain.models.seeds import SEED_MODELS, seed_model
from selftrain.problems import load_problems
from selftrain.storage import RunFolder
from selftrain.trainer import SelfTrainer

Sync = Literal["in_place", "restart"]
QUERIES = {
    "samples": "select round, problem_id, sample_index, token_ids from samples",
    "greedy": "select round, problem_id, 0, token_ids from evaluations where greedy",
}
SAID = re.compile(r": vLLM (start|took) .*: its log-probabilities are ([^ ]+) nats")


def run(sync: Sync, folder: Path, asked: argparse.Namespace) -> float:
    """Seconds."""
    recipe = RECIPES["sept"]
    assert isinstance(recipe.method, SePT)
    vllm = VllmConfig(
        vllm_python=asked.vllm_python, vllm_gpu_memory_utilization=0.06, vllm_enforce_eager=True,
        vllm_max_model_length=512, vllm_weight_sync=sync,
    )  # fmt: skip
    trainer = SelfTrainer(
        method=replace(recipe.method, num_rounds=asked.rounds, problems_per_round=asked.problems),
        model=seed_model(asked.model), prompts=PROMPTS, training=recipe.training,
        train_dataset=load_problems("word_problems", split="train", max_problems=1000, seed=1),
        eval_dataset=load_problems("word_problems", split="test", max_problems=100, seed=0),
        evaluation=SePTEvalConfig(num_generations_eval=1, eval_rounds=asked.rounds),
        engine=EngineConfig(engine="vllm"), vllm=vllm, output_dir=folder, seed=1,
        monitor=MonitorConfig(collapse_watch="off"),
    )  # fmt: skip
    began = time.monotonic()
    trainer.train()
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vllm_python", required=True)
    parser.add_argument("--model", default="llama", choices=SEED_MODELS)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--problems", type=int, default=64)
    asked = parser.parse_args()
    rows, found = [], {name: list[dict[tuple[int, str, int], tuple[int, ...]]]() for name in QUERIES}
    with tempfile.TemporaryDirectory() as place:
        for sync in get_args(Sync):
            seconds = run(sync, Path(place, sync), asked)
            folder = RunFolder.open(Path(place, sync))
            for name, query in QUERIES.items():
                found[name].append({tuple(key): tuple(ids) for *key, ids in folder.query(query).fetchall()})
            said = SAID.findall((folder.path / "log.txt").read_text(encoding="utf-8"))
            counts = [str(sum(what == one for what, _ in said)) for one in ("start", "took")]
            rows.append([sync, *counts, max((far for _, far in said), key=float), f"{seconds:.0f}"])
    for name, (ours, theirs) in found.items():
        equal = sum(theirs.get(key) == ids for key, ids in ours.items())
        print(f"{name}: {equal} of {len(ours)} the same, token for token")
    print(f"\n{machine()}; {asked.model}, {asked.rounds} rounds of {asked.problems} problems\n")
    print(table(("", "starts", "updates while running", "nats a token from the trainer at most", "seconds"), rows))


if __name__ == "__main__":
    main()
