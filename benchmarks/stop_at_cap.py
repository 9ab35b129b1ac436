"""What `stop_at_cap` saves: tokens paid for a kept example, on the demo's problems, with 32 draws and a cap of 10.

    python benchmarks/stop_at_cap.py [--problems 300]

The kept sets are compared, and have to be the same.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from selftrain.grading import open_judge
from selftrain.machinery import Loader
from selftrain.methods import RestEM
from selftrain.problems import load_problems
from selftrain.prompts import Prompting, make_prompts
from selftrain.seeds import SEED_MODELS, seed_model
from selftrain.types import Lessons, Round


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=300)
    asked = parser.parse_args()
    problems = load_problems("word_problems", split="train", max_problems=asked.problems)
    by_id = {problem.id: problem for problem in problems}
    print("| model | duplicates | kept | tokens a kept example, all drawn | with stop_at_cap | less |")
    print("|---|---|---|---|---|---|")
    with open_judge("math") as judge:
        for name in SEED_MODELS:
            learner = Loader(Prompting()).load(seed_model(name))
            now = Round(
                1, list(problems), make_prompts(problems), [learner], lambda some: judge.grade(some, by_id), 7,
                judged_one_by_one=judge.one_by_one,
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


def _kept(lessons: Lessons) -> int:
    return sum(sample.kept for sample in lessons.samples)


def _tokens(lessons: Lessons) -> int:
    return sum(len(sample.response.token_ids) for sample in lessons.samples)


if __name__ == "__main__":
    main()
