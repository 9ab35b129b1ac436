"""What a second process that samples is worth: one and two processes, taking turns, by the wall clock.

    python -m benchmarks.processes [--repeats 5] [--problems 800]

The seed model, the engine as a run has it. Needs two idle cores: what else runs takes from two processes what it would
leave to one. Asserts nothing.
"""

from __future__ import annotations

import argparse
import itertools
from functools import partial
from statistics import median

from benchmarks.turns import here, machine, table, take_turns, times
from selftrain.engines.config import EngineConfig
from selftrain.loop.learner import Learner
from selftrain.loop.model_factory import ModelFactory
from selftrain.models.prompts import PromptConfig, make_prompts
from selftrain.models.seeds import seed_model
from selftrain.problems import load_problems
from selftrain.types import SamplingParams

SAMPLING = SamplingParams(0.7, 40, max_completion_length=96)
HEAD = ("", "tokens a second", "times one process", "CPU share of this process")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--problems", type=int, default=800)
    asked = parser.parse_args()
    prompts, number = make_prompts(load_problems("word_problems", max_problems=asked.problems)), itertools.count()
    learners = {
        f"{count} process{'es' * (count > 1)}": ModelFactory(
            PromptConfig(), EngineConfig(sampling_processes=count)
        ).load(seed_model("llama"))
        for count in (1, 2)
    }

    def sample(learner: Learner) -> int:
        return sum(len(one.token_ids) for one in learner.sample(prompts, 8, SAMPLING, str(next(number))))

    one, two = learners
    # The second process is started once the first has answered for some seconds, and takes some to be ready.
    for _ in range(3):
        sample(learners[two])
    ways = [here(name, partial(sample, learner)) for name, learner in learners.items()]
    taken = take_turns(ways, asked.repeats)
    gains = times(taken[two], taken[one], of_wall=True)
    print(f"\n{machine()}; {asked.problems} problems, 8 samples each, medians of {asked.repeats} turns\n")
    lines = [
        [name, f"{median(each.rates(of_wall=True)):,.0f}", "", f"{each.cpu_share:.2f}"] for name, each in taken.items()
    ]
    lines[1][2] = f"{median(gains):.2f} ({min(gains):.2f} to {max(gains):.2f})"
    print(table(HEAD, lines))
    for learner in learners.values():
        learner.close()


if __name__ == "__main__":
    main()
