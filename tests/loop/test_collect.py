"""Statistics of a round's samples, added up some problems at a time."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from selftrain.loop.collect import SampleStats
from selftrain.report.round_record import SamplingSummary
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
    summary = stats.summary()
    every = min(map(len, problems))
    rewards = [s.score.value for one in problems for s in one[:every] if s.score.value is not None]
    assert summary.mean_reward == pytest.approx(sum(rewards) / len(rewards))
    held_back = [s.score.extra_scores["held_back"] for s in samples if "held_back" in s.score.extra_scores]
    assert summary == SamplingSummary(
        samples=len(samples),
        kept=sum(s.drop_reason is None for s in samples),
        drop_reasons=Counter(s.drop_reason for s in samples if s.drop_reason),
        answers_extracted=sum(s.score.extracted_answer == "1" for s in samples),
        mean_reward=summary.mean_reward,
        solved_problems=sum(any(s.score.value == 1.0 for s in one) for one in problems),
        problems=40,
        tokens=sum(len(s.response.token_ids) for s in samples),
        mean_length=sum(len(s.response.token_ids) for s in samples) / len(samples),
        truncated=sum(s.response.finish_reason == "length" for s in samples),
        held_back_graded=len(held_back),
        held_back_failed=held_back.count(0.0),
        held_back_gap=held_back.count(0.0) / len(held_back),
    )


def test_without_grades_there_is_no_reward() -> None:
    response = Response(Prompt("p", "q"), "q", 0, "x", (1, 2), -1.0, "stop", "m", 1)
    stats = SampleStats()
    assert stats.summary().mean_length is None and stats.summary().samples == 0
    stats.add([Sample(response, Score(None, "1"), 1.0)])
    summary = stats.summary()
    assert summary.mean_reward is None and summary.solved_problems is None
    assert summary.kept == summary.answers_extracted == 1 and summary.held_back_gap is None
