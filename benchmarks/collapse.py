"""Runs that collapse, continued to their end, to see where the label-free collapse monitor would have stopped them.

python benchmarks/collapse.py            writes docs/results/collapse.md
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from selftrain.engines.config import EngineConfig
from selftrain.loop.collapse_monitor import MonitorConfig
from selftrain.methods import PST, SePT
from selftrain.methods.pst import PSTEvalConfig, PSTTrainingConfig
from selftrain.methods.sept import SePTEvalConfig, SePTTrainingConfig
from selftrain.models.seeds import SEED_MODELS, seed_model
from selftrain.problems import load_problems
from selftrain.report.round_record import read_rounds
from selftrain.storage import RunFolder
from selftrain.storage.environment import environment
from selftrain.trainer import SelfTrainer

RUNS, RESULTS, LENGTH = Path("runs/collapse"), Path("docs/results/collapse.md"), 64


def sept(model: str, learning_rate: float, rounds: int) -> dict[str, Any]:
    return {
        "method": SePT(num_rounds=rounds, temperature=0.4, max_completion_length=LENGTH),
        "model": seed_model(model),
        "training": SePTTrainingConfig(learning_rate=learning_rate, warmup_steps=4, validation_size=200),
        "evaluation": SePTEvalConfig(num_generations_eval=0, eval_rounds=5),
        "monitor": MonitorConfig(collapse_watch="warn", probe_rounds=5, probe_generations=1),
    }


def pst(learning_rate: float, temperature: float, rounds: int, probe: int, **method: Any) -> dict[str, Any]:
    return {
        "method": PST(num_rounds=rounds, temperature=temperature, top_p=1.0, max_completion_length=LENGTH, **method),
        "model": [seed_model(name) for name in SEED_MODELS],
        # The mean of per-answer means gives the tokens of short answers the largest say.
        "training": PSTTrainingConfig(
            learning_rate=learning_rate, train_batch_size=64, loss_normalization="example", validation_size=200
        ),
        "evaluation": PSTEvalConfig(num_generations_eval=0, eval_rounds=probe, gv_gap=False),
        "monitor": MonitorConfig(
            collapse_watch="warn", probe_rounds=probe, probe_generations=1, consensus_generations=8
        ),
    }


#: Rates well above those that lift the same models.
RUNS_THAT_FALL = {
    "sept llama, lr 6e-5": lambda: sept("llama", 6e-5, 60),
    "sept qwen2, lr 1e-4": lambda: sept("qwen2", 1e-4, 50),
    "sept gemma2, lr 1e-4": lambda: sept("gemma2", 1e-4, 50),
    "pst own answer, lr 1e-4, a look every round": lambda: pst(1e-4, 1.0, 16, 1, target="own"),
    "pst own answer in context, lr 7e-5, a look every round": lambda: pst(7e-5, 1.0, 16, 1, target="own_in_context"),
    # Gone within three rounds: no watch that looks every third round can be in time.
    "pst own answer, lr 3e-4": lambda: pst(3e-4, 1.0, 24, 3, target="own"),
    "pst own answer in context, lr 2e-4": lambda: pst(2e-4, 1.0, 24, 3, target="own_in_context"),
}


PAGE = """# Where the watch stops a collapse

`python benchmarks/collapse.py`, {day}; {cores} CPU cores, torch {torch}, transformers {transformers}. Held-out greedy
accuracy on 300 problems the watch never saw (PST: mean over its three models). The watch saw 200 problems of D_val, not
their answers. The runs were let go on, to see what it would have spared.

| run | base | peak (round) | watch stops in round | greedy there | best round then | at the end, unstopped |
|---|---|---|---|---|---|---|
{rows}
"""


def folder(name: str) -> Path:
    return RUNS / "".join(c if c.isalnum() else "-" for c in name)


def run(name: str) -> None:
    SelfTrainer(
        **RUNS_THAT_FALL[name](),
        train_dataset=load_problems("word_problems", split="train", max_problems=4000, seed=7),
        eval_dataset=load_problems("word_problems", split="test", max_problems=300, seed=0),
        output_dir=folder(name),
        seed=7,
        engine=EngineConfig(sampling_batch_size=256),
    ).train()


def row(name: str) -> str:
    """Held-out greedy accuracy, the mean over models: at its peak, at the stop, of the best round, and at the end."""
    records = [record for record in read_rounds(RunFolder.open(folder(name))) if not record.team]
    rounds = sorted({record.round for record in records if record.metrics})
    by_round = {number: [record for record in records if record.round == number] for number in rounds}
    greedy = {number: fmean(r.metrics["greedy"].value for r in found) for number, found in by_round.items()}
    score = {number: fmean(r.validation_score or 0.0 for r in found) for number, found in by_round.items()}
    stop = next((record.round for record in records if any(alarm.severe for alarm in record.alarms)), None)
    seen = [number for number in rounds if stop is None or number <= stop]
    # As if the run had been stopped there.
    best = max(seen, key=lambda number: (score[number], number))
    peak = max(seen, key=lambda number: greedy[number])
    cells = [name, f"{greedy[0]:.3f}", f"{greedy[peak]:.3f} ({peak})", "never" if stop is None else str(stop)]
    cells += [f"{greedy[stop]:.3f} ({100 * (greedy[stop] / greedy[peak] - 1):+.0f} %)" if stop is not None else "–"]
    cells += [f"{greedy[best]:.3f} ({best})", f"{greedy[rounds[-1]]:.3f} ({rounds[-1]})"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    if len(sys.argv) > 1:
        run(sys.argv[1])
        return

    def start(name: str) -> None:
        if not (folder(name) / "report.html").exists():
            RUNS.mkdir(parents=True, exist_ok=True)
            with folder(name).with_suffix(".log").open("w") as log:
                subprocess.run([sys.executable, __file__, name], stdout=log, stderr=log, check=True,
                               env=os.environ | {"OMP_NUM_THREADS": "1"})  # fmt: skip

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(start, RUNS_THAT_FALL))
    packages = environment()["packages"]
    rows = "\n".join(row(name) for name in RUNS_THAT_FALL)
    RESULTS.write_text(
        PAGE.format(day=f"{datetime.now(UTC):%Y-%m-%d}", cores=os.cpu_count(), torch=packages["torch"],
                    transformers=packages["transformers"], rows=rows)
    )  # fmt: skip
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
