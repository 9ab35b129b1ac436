"""A whole round of ReST-EM: ours, and the same written by hand with transformers, math-verify and TRL, taking turns.

    python -m benchmarks.whole_round [--seeds 1 2 3] [--problems 500] [--tests 500] [--all_cores]
    python -m benchmarks.whole_round --model FOLDER --dataset FILE --problems 64 --tests 64 --length 256

Each starts as a process of its own on one core, or on all of them, loads the model (the seed model, or a chat model and
questions of a file), measures it, draws 8 answers a problem, keeps what is right (whole, no text twice, ten a problem
at most), trains on it for two epochs, and measures the model again. The round by hand is in
`benchmarks/peers/by_hand.py`, with `generate` as fast as it was found to be, and TRL once as fast and once as it comes;
a chat model's in float32. Prints seconds of everything from start to end, what was kept, and held-out greedy accuracy
before and after; asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean, median
from typing import Any

from benchmarks.peers.process import ROOT
from benchmarks.turns import Spent, Taken, Way, WayError, machine, one_core, table, take_turns, times
from selftrain.engines.config import EngineConfig
from selftrain.evaluation import EvalConfig
from selftrain.methods import RestEM
from selftrain.models.prompts import INSTRUCTIONS, PromptConfig
from selftrain.models.seeds import seed_model
from selftrain.problems import ProblemSet, load_problems
from selftrain.storage import RunFolder
from selftrain.trainer import SelfTrainer
from selftrain.training.base import TrainingConfig

OURS, BY_HAND = "ours", "generate + math-verify + TRL, as fast as found"
ROUNDED, AS_IT_COMES = "ours, bfloat16", "the same with TRL as it comes"
SAMPLES, EPOCHS = 8, 2
#: A chat model is told how to end.
INSTRUCTION = INSTRUCTIONS["number"]
HEAD = ("", "seconds of CPU time", "seconds", "ours is times as fast", "CPU share", "kept", "greedy before and after")


@dataclass(frozen=True)
class Sizes:
    learning_rate: float
    step: int
    #: Sequences decoded together by both sides: about the best for `generate`.
    at_once: int


SEED_MODEL, REAL_MODEL = Sizes(3e-4, 64, 256), Sizes(1e-5, 16, 64)


def sizes(asked: argparse.Namespace) -> Sizes:
    return REAL_MODEL if asked.model else SEED_MODEL


def problems(asked: argparse.Namespace, seed: int) -> tuple[ProblemSet, ProblemSet]:
    if asked.dataset:
        chosen = load_problems(asked.dataset, max_problems=asked.problems + asked.tests, seed=seed)
        return chosen[: asked.problems], chosen[asked.problems :]
    return (
        load_problems("word_problems", split="train", max_problems=asked.problems, seed=seed),
        load_problems("word_problems", split="test", max_problems=asked.tests, seed=0),
    )


def ours(asked: argparse.Namespace, seed: int) -> dict[str, Any]:
    (train, test), of = problems(asked, seed), sizes(asked)
    prompts = PromptConfig(instruction=INSTRUCTION) if asked.model else PromptConfig()
    with tempfile.TemporaryDirectory() as folder:
        result = SelfTrainer(
            method=RestEM(num_rounds=1, num_generations=SAMPLES, max_completion_length=asked.length),
            model=asked.model or seed_model("llama"), train_dataset=train, eval_dataset=test, prompts=prompts,
            training=TrainingConfig(
                learning_rate=of.learning_rate, num_train_epochs=EPOCHS, train_batch_size=of.step, early_stopping="off",
                validation_size=0,
            ),
            evaluation=EvalConfig(num_generations_eval=0), output_dir=Path(folder) / "run", seed=seed,
            engine=EngineConfig(sampling_batch_size=of.at_once, bf16=asked.one == ROUNDED),
        ).train()  # fmt: skip
        ((kept,),) = RunFolder.open(result.output_dir).query("select count(*) from samples where kept").fetchall()
        timings = json.loads((result.output_dir / "timings.jsonl").read_text().splitlines()[-1])["seconds"]
    return {"kept": kept, "greedy": [result.metrics[number]["greedy"] for number in (0, 1)], "seconds": timings}


def by_hand(asked: argparse.Namespace, seed: int) -> dict[str, Any]:
    from benchmarks.peers.by_hand import AS_IT_COMES as DEFAULTS
    from benchmarks.peers.by_hand import FASTEST, Settings, rest_em_round

    train, test = ([(one.question, str(one.reference)) for one in some] for some in problems(asked, seed))
    size = sizes(asked)
    of = Settings(
        samples=SAMPLES, length=asked.length, learning_rate=size.learning_rate, epochs=EPOCHS, step=size.step,
        seed=seed, trl=DEFAULTS if asked.one == AS_IT_COMES else FASTEST, instruction=INSTRUCTION,
        mark="The answer is" if asked.model else "####", at_once=size.at_once,
    )  # fmt: skip
    return rest_em_round(asked.model or seed_model("llama"), train, test, of)


def process(name: str, asked: argparse.Namespace, told: dict[str, list[dict[str, Any]]]) -> Way:
    """Each turn is a process of its own with a seed of its own; what it tells of the round goes to `told`."""
    if not name.startswith(OURS) and find_spec("trl") is None:
        return Way(name, None, "not installed")

    def turn() -> Spent:
        seed = asked.seeds[len(told[name])]
        words = [f"--{one}={getattr(asked, one)}" for one in ("problems", "tests", "length", "model", "dataset")]
        command = [sys.executable, "-m", "benchmarks.whole_round", *words, "--seeds", str(seed), "--one", name]
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
    parser.add_argument("--length", type=int, default=64, help="tokens of an answer")
    parser.add_argument("--model", default="", help="folder of a chat model")
    parser.add_argument("--dataset", default="", help="file of questions")
    parser.add_argument("--all_cores", action="store_true")
    parser.add_argument("--one", choices=(OURS, ROUNDED, BY_HAND, AS_IT_COMES), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps((ours if asked.one.startswith(OURS) else by_hand)(asked, asked.seeds[0])))
        return
    if asked.all_cores:
        os.environ.pop("OMP_NUM_THREADS", None)
    else:
        one_core()
    names = (OURS, ROUNDED, BY_HAND) if asked.model else (OURS, BY_HAND, AS_IT_COMES)
    told: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    taken = take_turns([process(name, asked, told) for name in told], len(asked.seeds), warm_up=False)
    print(f"\n{machine()}; {asked.problems} problems, {SAMPLES} samples each, {asked.tests} to measure on\n")
    print(table(HEAD, [row(one, taken[OURS], told[name]) for name, one in taken.items()]))


if __name__ == "__main__":
    main()
