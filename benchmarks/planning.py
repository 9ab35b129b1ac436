"""What `selftrain plan` says of a run beside what the run comes to: tokens, time, memory and disk.

    python -m benchmarks.planning                                        a run as large as the demo, of each method
    python -m benchmarks.planning --words rest-em --model_name_or_path MODEL --dataset_name FILE ...

Each plan and each run is a process of its own, one after the other; on a machine that does other work the figures for
time mean nothing. Asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.turns import machine
from selftrain.models.seeds import SEED_MODELS, seed_model

_ALL = [
    "--dataset_name", "word_problems", "--prompt_format", "plain", "--instruction", "", "--num_fewshot", "0",
    "--stop_at_next_question", "false", "--max_completion_length", "64", "--top_p_eval", "1.0",
]  # fmt: skip
_ONE = ["--model_name_or_path", str(seed_model("llama"))]
RUNS = {
    "rest-em": [
        *_ALL, *_ONE, "--max_train_samples", "500", "--max_eval_samples", "600", "--num_rounds", "2",
        "--num_generations", "8", "--learning_rate", "3e-4", "--num_train_epochs", "2", "--validation_size", "100",
        "--num_generations_eval", "4",
    ],
    "sept": [
        *_ALL, *_ONE, "--max_train_samples", "4000", "--max_eval_samples", "1000", "--num_rounds", "40",
        "--temperature", "0.3", "--learning_rate", "2e-5", "--warmup_steps", "4", "--validation_size", "200",
        "--num_generations_eval", "4", "--eval_rounds", "20",
    ],
    "pst": [
        *_ALL, "--models", *(str(seed_model(name)) for name in SEED_MODELS), "--max_train_samples", "4000",
        "--max_eval_samples", "1000", "--num_rounds", "8", "--temperature", "0.3", "--learning_rate", "5e-5",
        "--train_batch_size", "64", "--validation_size", "200", "--num_generations_eval", "1", "--eval_rounds", "8",
        "--peer_layout", "posted", "--gv_gap", "false",
    ],
}  # fmt: skip
FIELDS = ("sampled_tokens", "trained_tokens", "seconds", "memory", "disk")


def selftrain(words: Sequence[str]) -> str:
    done = subprocess.run([sys.executable, "-m", "selftrain", *words], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def planned(words: Sequence[str]) -> dict[str, Any]:
    return dict(json.loads(selftrain(["plan", *words, "--json"]))["estimate"])


def trained(line: str) -> int:
    """Tokens of all trainings of a round, each epoch counted."""

    def reports(value: Any) -> Iterator[dict[str, Any]]:
        if isinstance(value, dict) and {"tokens", "epochs", "steps"} <= value.keys():
            yield value
        elif isinstance(value, dict | list):
            for one in value.values() if isinstance(value, dict) else value:
                yield from reports(one)

    return sum(report["tokens"] * report["epochs"] for report in reports(json.loads(line)))


def held(name: str, words: Sequence[str]) -> None:
    """Prints both and the difference, in per cent of what happened."""
    with tempfile.TemporaryDirectory(prefix="selftrain-planning-") as folder:
        plan, run = planned(words), Path(folder) / "run"
        selftrain([*words, "--output_dir", str(run)])
        happened = json.loads((run / "plan.json").read_text())["happened"]
        happened["trained_tokens"] = sum(map(trained, (run / "rounds.jsonl").read_text().splitlines()))
        happened["disk"] = sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
    plan["seconds"] = sum(plan["seconds"].values())
    print(f"{name}, load {os.getloadavg()[0]:.1f}")
    for field in FIELDS:
        # Of disk a plan names two figures where the best round may have to be kept beside the evaluated ones.
        said, came = sorted({plan[field], plan.get(f"{field}_most", plan[field])}), happened[field]
        nearest = min(max(came, said[0]), said[-1])
        difference = f"{100 * (nearest / came - 1):+.0f} %" if came else "-"
        figures = " to ".join(f"{one:,.0f}" for one in said)
        print(f"    {field}: planned {figures}, came to {came:,.0f}: {difference}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=RUNS, nargs="+", default=list(RUNS))
    parser.add_argument("--words", nargs=argparse.REMAINDER, help="a run by its own words, the method first")
    asked = parser.parse_args()
    print(machine())
    if asked.words:
        held(" ".join(asked.words[:3]), asked.words)
        return
    for method in asked.only:
        held(method, [method, *RUNS[method]])


if __name__ == "__main__":
    main()
