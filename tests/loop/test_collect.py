"""What is said of a round's samples, from some of them at a time."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from selftrain.loop.collect import SampleStats
from selftrain.types import Prompt, Response, Sample, Score


def some_samples(seed: int) -> list[list[Sample]]:
    """By problem."""
    rng = random.Random(seed)

    def sample(problem: int, index: int) -> Sample:
        value = rng.choice([None, 0.0, 1.0])
        score = Score(
            value, rng.choice([None, "1"]), extra_scores={"held_back": rng.choice([0.0, 1.0])} if value else {}
        )
        ids = tuple(range(rng.randrange(9)))
        response = Response(
            Prompt(f"p{problem}", "q"), "q", index, "x", ids, -1.0, rng.choice(["stop", "length"]), "m", 1
        )  # fmt: skip
        return Sample(response, score, 1.0, rng.choice([None, "wrong", "duplicate"]))

    return [[sample(problem, index) for index in range(rng.choice([10, 18, 32]))] for problem in range(40)]


@pytest.mark.parametrize("seed", range(5))
def test_figures_are_those_of_all_samples(seed: int) -> None:
    problems = some_samples(seed)
    samples = [sample for one in problems for sample in one]
    stats, rest = SampleStats(), list(problems)
    while rest:
        some, rest = rest[:7], rest[7:]
        stats.add([sample for one in some for sample in one])
    said = stats.facts()
    every = min(map(len, problems))
    rewards = [s.score.value for one in problems for s in one[:every] if s.score.value is not None]
    assert said["mean_reward"] == pytest.approx(sum(rewards) / len(rewards))
    held = [s.score.extra_scores["held_back"] for s in samples if "held_back" in s.score.extra_scores]
    assert said == {
        "drawn": len(samples),
        "kept": sum(s.drop_reason is None for s in samples),
        "drop_reason": dict(Counter(s.drop_reason for s in samples if s.drop_reason)),
        "answers_read": sum(s.score.extracted_answer == "1" for s in samples),
        "mean_reward": said["mean_reward"],
        "problems_with_one_right": sum(any(s.score.value == 1.0 for s in one) for one in problems),
        "problems": 40,
        "tokens": sum(len(s.response.token_ids) for s in samples),
        "mean_length": sum(len(s.response.token_ids) for s in samples) / len(samples),
        "truncated": sum(s.response.finish_reason == "length" for s in samples),
        "held_back_asked": len(held),
        "held_back_failed": held.count(0.0),
        "held_back_gap": held.count(0.0) / len(held),
    }


def test_of_samples_that_nobody_graded_no_reward_is_said() -> None:
    response = Response(Prompt("p", "q"), "q", 0, "x", (1, 2), -1.0, "stop", "m", 1)
    stats = SampleStats()
    assert stats.facts()["mean_length"] is None and stats.facts()["drawn"] == 0
    stats.add([Sample(response, Score(None, "1"), 1.0)])
    said = stats.facts()
    assert said["mean_reward"] is None and said["problems_with_one_right"] is None
    assert said["kept"] == said["answers_read"] == 1 and "held_back_gap" not in said
