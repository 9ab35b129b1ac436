"""What the record of a run costs: sampling with every answer written down, and without, taking turns.

    python benchmarks/recording.py [--repeats 7]

Prints wall-clock throughput with the record as a share of that without, a turn at a time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from selftrain.computing import Computing
from selftrain.machinery import Loader
from selftrain.problems import load_problems
from selftrain.prompts import Prompting, make_prompts
from selftrain.record import Memory, Record
from selftrain.seeds import seed_model
from selftrain.types import Sampling


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    memory = Memory()
    learner = Loader(Prompting(), Computing(sampling_processes=1)).load(seed_model("llama"), memory=memory)
    prompts = make_prompts(load_problems("word_problems", max_problems=128))
    seconds: dict[bool, list[float]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder, Record.create(Path(folder) / "run", {}, memory) as record:
        for turn in range(1, repeats + 2):
            # Who begins changes, so that neither has the warmer machine.
            for is_on in (True, False) if turn % 2 else (False, True):
                began = time.perf_counter()
                with record.remembering(turn, "samples") if is_on else nullcontext():
                    learner.sample(prompts, 8, Sampling(0.7, 40, max_completion_length=96), f"{turn}")
                if turn > 1:  # the first warms up
                    seconds[is_on].append(time.perf_counter() - began)
    shares = [off / on for on, off in zip(seconds[True], seconds[False], strict=True)]
    print(
        f"with the record {statistics.median(shares):.1%} of the throughput without (turns: {min(shares):.1%} to "
        f"{max(shares):.1%}); {len(prompts) * 8:,} answers a turn, {repeats} turns"
    )


if __name__ == "__main__":
    main()
