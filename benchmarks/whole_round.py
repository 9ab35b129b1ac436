"""A whole round of ReST-EM: ours, and the same written by hand with transformers, math-verify and TRL, taking turns.

    python -m benchmarks.whole_round [--seeds 1 2 3] [--problems 500] [--tests 500] [--all_cores]

Each starts as a process of its own on one core, or on all of them, loads the seed model, measures it, draws 8 answers a
problem, keeps what is right (whole, no text twice, ten a problem at most), trains on it for two epochs, and measures
the model again. The round by hand is in `benchmarks/peers/by_hand.py`, with `generate` as fast as it was found to be,
and TRL once as fast and once as it comes. Prints seconds of everything from start to end, what was kept, and held-out
greedy accuracy before and after; asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean, median
from typing import Any

from benchmarks.peers.process import ROOT
from benchmarks.turns import Spent, Taken, Way, WayError, machine, one_core, table, take_turns, times
from selftrain.engines.config import EngineConfig
from selftrain.evaluation import EvalConfig
from selftrain.methods import RestEM
from selftrain.models.seeds import seed_model
from selftrain.problems import ProblemSet, load_problems
from selftrain.storage import RunFolder
from selftrain.trainer import SelfTrainer
from selftrain.training.base import TrainingConfig

OURS, BY_HAND = "ours", "generate + math-verify + TRL, as fast as found"
AS_IT_COMES = "the same with TRL as it comes"
SAMPLES, LENGTH, LEARNING_RATE, EPOCHS, STEP = 8, 64, 3e-4, 2, 64
HEAD = ("", "seconds of CPU time", "seconds", "ours is times as fast", "CPU share", "kept", "greedy before and after")


def problems(asked: argparse.Namespace, seed: int) -> tuple[ProblemSet, ProblemSet]:
    return (
        load_problems("word_problems", split="train", max_problems=asked.problems, seed=seed),
        load_problems("word_problems", split="test", max_problems=asked.tests, seed=0),
    )


def ours(asked: argparse.Namespace, seed: int) -> dict[str, Any]:
    train, test = problems(asked, seed)
    with tempfile.TemporaryDirectory() as folder:
        result = SelfTrainer(
            method=RestEM(num_rounds=1, num_generations=SAMPLES, max_completion_length=LENGTH),
            model=seed_model("llama"), train_dataset=train, eval_dataset=test,
            training=TrainingConfig(
                learning_rate=LEARNING_RATE, num_train_epochs=EPOCHS, train_batch_size=STEP, early_stopping="off",
                validation_size=0,
            ),
            evaluation=EvalConfig(num_generations_eval=0), output_dir=Path(folder) / "run", seed=seed,
            engine=EngineConfig(sampling_batch_size=256),
        ).train()  # fmt: skip
        ((kept,),) = RunFolder.open(result.output_dir).query("select count(*) from samples where kept").fetchall()
        timings = json.loads((result.output_dir / "timings.jsonl").read_text().splitlines()[-1])["seconds"]
    return {"kept": kept, "greedy": [result.metrics[number]["greedy"] for number in (0, 1)], "seconds": timings}


def by_hand(asked: argparse.Namespace, seed: int) -> dict[str, Any]:
    from benchmarks.peers.by_hand import AS_IT_COMES as DEFAULTS
    from benchmarks.peers.by_hand import FASTEST, Settings, rest_em_round

    train, test = ([(one.question, str(one.reference)) for one in some] for some in problems(asked, seed))
    trl = DEFAULTS if asked.one == AS_IT_COMES else FASTEST
    of = Settings(SAMPLES, LENGTH, LEARNING_RATE, EPOCHS, STEP, seed, trl)
    return rest_em_round(seed_model("llama"), train, test, of)


def process(name: str, asked: argparse.Namespace, told: dict[str, list[dict[str, Any]]]) -> Way:
    """Each turn is a process of its own with a seed of its own; what it tells of the round goes to `told`."""
    if name != OURS and find_spec("trl") is None:
        return Way(name, None, "not installed")

    def turn() -> Spent:
        seed = asked.seeds[len(told[name])]
        sizes = ["--problems", str(asked.problems), "--tests", str(asked.tests), "--seeds", str(seed)]
        command = [sys.executable, "-m", "benchmarks.whole_round", *sizes, "--one", name]
        began, before = time.perf_counter(), os.times()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        after = os.times()
        if done.returncode:
            raise WayError(f"failed: {done.stderr.strip().splitlines()[-1]}")
        told[name].append(json.loads(done.stdout.splitlines()[-1]))
        print(f"{name}, seed {seed}: {told[name][-1]}", file=sys.stderr)
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        return Spent(1, cpu, time.perf_counter() - began)

    return Way(name, turn)


def row(one: Taken, beside: Taken, told: list[dict[str, Any]]) -> list[str]:
    if not one.turns:
        return [one.name, one.missing, *[""] * 5]
    ratios = times(beside, one)
    before, after = (100 * fmean(each["greedy"][number] for each in told) for number in (0, 1))
    each_after = ", ".join(f"{100 * each['greedy'][1]:.1f}" for each in told)
    return [
        one.name, f"{median(each.cpu for each in one.turns):.0f}", f"{median(each.wall for each in one.turns):.0f}",
        "" if one is beside else f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        f"{one.cpu_share:.2f}", ", ".join(f"{each['kept']:,}" for each in told),
        f"{before:.1f} to {after:.1f} % ({each_after})",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--tests", type=int, default=500)
    parser.add_argument("--all_cores", action="store_true")
    parser.add_argument("--one", choices=(OURS, BY_HAND, AS_IT_COMES), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps((ours if asked.one == OURS else by_hand)(asked, asked.seeds[0])))
        return
    if asked.all_cores:
        os.environ.pop("OMP_NUM_THREADS", None)
    else:
        one_core()
    told: dict[str, list[dict[str, Any]]] = {OURS: [], BY_HAND: [], AS_IT_COMES: []}
    taken = take_turns([process(name, asked, told) for name in told], len(asked.seeds), warm_up=False)
    print(f"\n{machine()}; {asked.problems} problems, {SAMPLES} samples each, {asked.tests} to measure on\n")
    print(table(HEAD, [row(one, taken[OURS], told[name]) for name, one in taken.items()]))


if __name__ == "__main__":
    main()
