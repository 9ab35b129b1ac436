"""What `stop_at_cap` saves: tokens paid for a kept example, on the demo's problems, with 32 draws and a cap of 10.

    python benchmarks/stop_at_cap.py [--problems 300]

The kept sets are compared, and have to be the same.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from selftrain.graders import open_grader
from selftrain.loop.model_factory import ModelFactory
from selftrain.methods import RestEM
from selftrain.models.prompts import PromptConfig, make_prompts
from selftrain.models.seeds import SEED_MODELS, seed_model
from selftrain.problems import load_problems
from selftrain.types import Collected, Round


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=300)
    asked = parser.parse_args()
    problems = load_problems("word_problems", split="train", max_problems=asked.problems)
    by_id = {problem.id: problem for problem in problems}
    print("| model | duplicates | kept | tokens a kept example, all drawn | with stop_at_cap | less |")
    print("|---|---|---|---|---|---|")
    with open_grader("math") as grader:
        for name in SEED_MODELS:
            learner = ModelFactory(PromptConfig()).load(seed_model(name))
            now = Round(
                1, list(problems), make_prompts(problems), [learner], lambda some: grader.grade(some, by_id), 7,
                scores_independently=grader.scores_independently,
            )  # fmt: skip
            for deduplicate in ("off", "exact"):
                method = RestEM(max_completion_length=96, deduplicate=deduplicate)
                whole, stopped = (replace(method, stop_at_cap=stops).collect(now) for stops in (False, True))
                assert whole.examples == stopped.examples
                paid = [_tokens(lessons) / _kept(lessons) for lessons in (whole, stopped)]
                dropped = "dropped" if deduplicate == "exact" else "kept"
                less = 1 - paid[1] / paid[0]
                print(f"| {name} | {dropped} | {_kept(whole):,} | {paid[0]:.0f} | {paid[1]:.0f} | {less:.0%} |")
            learner.close()


def _kept(lessons: Collected) -> int:
    return sum(sample.kept for sample in lessons.samples)


def _tokens(lessons: Collected) -> int:
    return sum(len(sample.response.token_ids) for sample in lessons.samples)


if __name__ == "__main__":
    main()
