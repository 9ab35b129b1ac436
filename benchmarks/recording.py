"""What the record of a run costs: sampling with every answer written down, and without, taking turns.

    python -m benchmarks.recording [--repeats 7]

Prints wall-clock throughput with the record as a share of that without, turn by turn: a disk that is waited for takes
no processor time.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from contextlib import nullcontext
from pathlib import Path
from statistics import median

from benchmarks.turns import here, machine, one_core, take_turns, times
from selftrain.engines.config import EngineConfig
from selftrain.loop.model_factory import ModelFactory
from selftrain.models.prompts import PromptConfig, make_prompts
from selftrain.models.seeds import seed_model
from selftrain.problems import load_problems
from selftrain.storage import AnswerCache, Record
from selftrain.types import SamplingParams

WITH, WITHOUT = "with the record", "without"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    one_core()
    answer_cache, number = AnswerCache(), itertools.count(1)
    learner = ModelFactory(PromptConfig(), EngineConfig(sampling_processes=1)).load(
        seed_model("llama"), answer_cache=answer_cache
    )
    prompts = make_prompts(load_problems("word_problems", max_problems=128))
    with tempfile.TemporaryDirectory() as folder, Record.create(Path(folder) / "run", {}, answer_cache) as record:

        def sample(is_on: bool) -> int:
            turn = next(number)
            with record.caching_answers(turn, "samples") if is_on else nullcontext():
                return len(learner.sample(prompts, 8, SamplingParams(0.7, 40, max_completion_length=96), f"{turn}"))

        taken = take_turns([here(WITH, lambda: sample(True)), here(WITHOUT, lambda: sample(False))], repeats)
    shares = times(taken[WITH], taken[WITHOUT], of_wall=True)
    print(machine())
    print(
        f"with the record {median(shares):.1%} of the throughput without (turns: {min(shares):.1%} to "
        f"{max(shares):.1%}); {len(prompts) * 8:,} answers a turn, {repeats} turns"
    )


if __name__ == "__main__":
    main()
