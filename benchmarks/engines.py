"""The demo's ReST-EM run by each engine: do all come to the same conclusion?

    python -m benchmarks.engines [--by transformers vllm server ray] [--vllm_python PY] [--ray_python PY]

Each run is a process of its own, with the settings of the demo and the same problems: `transformers`' own forward pass;
vLLM in another environment; the server of the tests, a process on loopback that speaks OpenAI's API and is started anew
after each training; workers on two nodes of a simulated Ray cluster. Prints accuracies with their intervals, and how
many greedy answers of the untouched model are those of `transformers`, token for token; asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.nodes import two_nodes
from benchmarks.peers.process import ROOT
from benchmarks.turns import machine, table
from selftrain.cli.demo import RECIPES
from selftrain.engines.config import EngineConfig
from selftrain.engines.ray.config import RayConfig
from selftrain.engines.server.config import ServerConfig
from selftrain.engines.vllm.config import VllmConfig
from selftrain.models.seeds import seed_model
from selftrain.problems import load_problems
from selftrain.report.round_record import read_rounds
from selftrain.storage import RunFolder
from selftrain.trainer import SelfTrainer

BY = ("transformers", "vllm", "server", "ray")


def settings(by: str, vllm_python: str) -> dict[str, Any]:
    # The same number of answers at once, so that no difference is one of batches.
    asked: dict[str, Any] = {"sampling_batch_size": 256}
    if by == "vllm":
        vllm = VllmConfig(
            vllm_python=vllm_python, vllm_gpu_memory_utilization=0.06, vllm_enforce_eager=True,
            vllm_max_model_length=512,
        )  # fmt: skip
        return {"engine": EngineConfig(engine="vllm", **asked), "vllm": vllm}
    if by == "server":
        program = str(ROOT / "tests" / "engines" / "server" / "openai_server.py")
        command = shlex.join([sys.executable, program, "--model", "{model}", "--port", "{port}"])
        return {"engine": EngineConfig(engine="openai", **asked), "server": ServerConfig(server_command=command)}
    return {"engine": EngineConfig(engine="transformers", **asked)}


def run(by: str, folder: Path, problems: int, tests: int, vllm_python: str) -> None:
    recipe, asked = RECIPES["rest-em"], settings(by, vllm_python)
    trainer = SelfTrainer(
        method=recipe.method, model=seed_model("llama"),
        train_dataset=load_problems("word_problems", split="train", max_problems=problems, seed=1),
        eval_dataset=load_problems("word_problems", split="test", max_problems=tests, seed=0),
        training=recipe.training, evaluation=recipe.evaluation, output_dir=folder, seed=1, **asked,
    )  # fmt: skip
    if by == "ray":
        with two_nodes() as address:
            replace(trainer, ray=RayConfig(ray=True, ray_address=address)).train()
    else:
        trainer.train()


def greedy_tokens(folder: Path) -> dict[str, tuple[int, ...]]:
    """Of the base model, by problem."""
    query = "select problem_id, token_ids from evaluations where round = 0 and greedy"
    return {problem_id: tuple(ids) for problem_id, ids in RunFolder.open(folder).query(query).fetchall()}


def line_of(by: str, folder: Path, first: Path, seconds: float) -> list[str]:
    first_record, *_, last_record = read_rounds(RunFolder.open(folder))
    ours, theirs = greedy_tokens(folder), greedy_tokens(first)
    cells = [by]
    for name in ("greedy", "pass@1"):
        before, after = first_record.metrics[name], last_record.metrics[name]
        gain = last_record.against_base[name]
        cells += [
            f"{100 * before.value:.1f}",
            f"{100 * after.value:.1f} ({100 * after.low:.1f} to {100 * after.high:.1f})",
            f"{100 * gain.difference:+.1f} (p = {gain.p_value:.1g})",
        ]
    equal = sum(ours[problem] == tokens for problem, tokens in theirs.items())
    return [*cells, f"{equal} of {len(theirs)}", f"{seconds:.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--by", nargs="+", default=list(BY), choices=BY)
    parser.add_argument("--vllm_python", default="")
    parser.add_argument("--ray_python", default=sys.executable)
    parser.add_argument("--problems", type=int, default=RECIPES["rest-em"].max_train_samples)
    parser.add_argument("--tests", type=int, default=RECIPES["rest-em"].max_eval_samples)
    parser.add_argument("--one", nargs=2, metavar=("BY", "FOLDER"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        run(asked.one[0], Path(asked.one[1]), asked.problems, asked.tests, asked.vllm_python)
        return
    found = []
    with tempfile.TemporaryDirectory() as place:
        for by in asked.by:
            python = asked.ray_python if by == "ray" else sys.executable
            words = ["--problems", str(asked.problems), "--tests", str(asked.tests), "--vllm_python", asked.vllm_python]
            began = time.monotonic()
            command = [python, "-m", "benchmarks.engines", *words, "--one", by, f"{place}/{by}"]
            subprocess.run(command, cwd=ROOT, check=True)
            found.append(line_of(by, Path(place, by), Path(place, asked.by[0]), time.monotonic() - began))
            print(json.dumps(found[-1]), flush=True)
    head = ("", "greedy before", "after", "gain", "pass@1 before", "after", "gain", f"greedy as by {asked.by[0]}",
            "seconds")  # fmt: skip
    print(f"\n{machine()}; {asked.problems} problems, {asked.tests} to evaluate on\n")
    print(table(head, found))


if __name__ == "__main__":
    main()
