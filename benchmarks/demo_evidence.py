"""Is the demo's gain real, and is it due to the grader? Three seeds, each beside the control that keeps every sample.

    .venv/bin/python benchmarks/demo_evidence.py [--seeds 1 2 3] [--output_dir runs/evidence]

Runs `selftrain demo` on more problems, with and without the grader, on the same budget (same problems, samples, rounds
and training settings), and prints a Markdown table. About six runs of the demo's length.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from selftrain.evaluation import EvalResult
from selftrain.evaluation.compare import compare
from selftrain.evaluation.metrics import measure
from selftrain.report.round_record import read_rounds
from selftrain.storage import RunFolder
from selftrain.types import Prompt, Response, Sample, Score

METRICS = ("greedy", "pass@1", "maj@4")
COLUMNS = "problem_id, sample_index, greedy, reward, extracted_answer, finish_reason, token_ids"

#: More problems than the demo takes by itself, so that intervals are narrow.
SIZES = ("--max_train_samples", "1100", "--max_eval_samples", "1000")


def run_demo(folder: Path, seed: int, grader: str) -> float:
    """Runs the demo unless it was run before, and gives the seconds it took."""
    began = time.monotonic()
    if not folder.exists():
        words = ["demo", *SIZES, "--seed", str(seed), "--output_dir", str(folder), "--reward_funcs", grader, "--json"]
        # Without duplicates the control would not train on what the model says most: it keeps every sample.
        words += ["--deduplicate", "off"] if grader == "always_one" else []
        subprocess.run([sys.executable, "-m", "selftrain", *words], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def answers_of(folder: Path, round_number: int) -> list[EvalResult]:
    """The responses of one evaluation, read back from the run's folder."""
    sql = f"select {COLUMNS} from evaluations where round = {round_number:d} order by problem_id, sample_index"
    by_problem: dict[str, tuple[list[Sample], list[Sample]]] = {}
    for problem_id, index, greedy, reward, answer, finish, ids in RunFolder.open(folder).query(sql).fetchall():
        response = Response(Prompt(problem_id, ""), "", index, "", tuple(ids), 0.0, finish, "", round_number)
        by_problem.setdefault(problem_id, ([], []))[not greedy].append(Sample(response, Score(reward, answer)))
    return [EvalResult(problem_id, first[0], tuple(rest)) for problem_id, (first, rest) in by_problem.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--output_dir", type=Path, default=Path("runs/evidence"))
    asked = parser.parse_args()
    print("| seed | model | " + " | ".join(METRICS) + " | seconds |\n|---|---|" + "---|" * (len(METRICS) + 1))
    for seed in asked.seeds:
        folders = {grader: asked.output_dir / f"seed-{seed}-{grader}" for grader in ("math", "always_one")}
        seconds = {grader: run_demo(folder, seed, grader) for grader, folder in folders.items()}
        last = read_rounds(RunFolder.open(folders["math"]))[-1].round
        base, ours, control = (
            answers_of(folders["math"], 0), answers_of(folders["math"], last), answers_of(folders["always_one"], last),
        )  # fmt: skip
        for name, answered, took in (
            ("base", base, ""),
            (f"control, round {last}: every sample kept", control, f"{seconds['always_one']:.0f}"),
            (f"ReST-EM, round {last}", ours, f"{seconds['math']:.0f}"),
        ):
            figures = measure(answered)
            cells = [
                f"{100 * figures[m].value:.1f} [{100 * figures[m].low:.1f}, {100 * figures[m].high:.1f}]"
                for m in METRICS
            ]
            print(f"| {seed} | {name} | {' | '.join(cells)} | {took} |", flush=True)
        for name, other in (("base", base), ("control", control)):
            pairs = compare(other, ours)
            cells = [f"{100 * pairs[m].difference:+.1f} (p = {pairs[m].p_value:.1g})" for m in METRICS]
            print(f"| {seed} | ReST-EM minus {name} | {' | '.join(cells)} | |", flush=True)


if __name__ == "__main__":
    main()
