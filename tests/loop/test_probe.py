"""The probe: its consensus, its score and its signals, on toy models."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from selftrain.evaluation import EvalResult, EvalTask
from selftrain.loop.probe import consensus_answers, evaluate_probe, probe_of, signals
from selftrain.models.prompts import make_prompts
from selftrain.types import Prompt, Response, Sample, SamplingParams, Score
from tests.toys.model import toy_problems
from tests.toys.runs import answer_in, read, toy

PROMPTS = make_prompts(toy_problems(40))
TASK = EvalTask(PROMPTS, read, 64, "key")


def test_the_consensus_is_the_most_frequent_answer_of_all_models_together() -> None:
    models = [toy("a", 1.0, 0.5, 0.0), toy("b", 0.0, 1.5, 0.0), toy("c", 1.5, 0.0, 1.0)]
    agreed = consensus_answers(models, TASK, 5)
    votes: dict[str, Counter[str]] = {prompt.problem_id: Counter() for prompt in PROMPTS}
    for model in models:
        for response in model.sample(PROMPTS, 5, SamplingParams(1.0, max_completion_length=64), "key/consensus"):
            if (answer := answer_in(response.text)) is not None:
                votes[response.prompt.problem_id][answer] += 1
    assert agreed.keys() == {i for i, counted in votes.items() if counted}
    for problem_id, answer in agreed.items():
        assert votes[problem_id][answer] == max(votes[problem_id].values())


def test_a_problem_on_which_nothing_was_read_has_no_consensus_and_no_score() -> None:
    silent = toy("a", -9.0, -9.0, 9.0)
    assert consensus_answers([silent], TASK, 4) == {}
    results = evaluate_probe(silent, TASK, 2)
    assert probe_of(results, {}).score == {} and probe_of(results, {}).mean == 0.0


def test_agreement_with_the_consensus_is_the_score_without_labels_and_reward_with() -> None:
    right, off = toy("a", 9.0, 0.0, 0.0), toy("b", 0.0, 9.0, 0.0)
    gold = {problem.id: problem.reference for problem in toy_problems(40)}

    def grade(responses):
        return [Score(float(answer_in(r.text) == gold[r.prompt.problem_id]), answer_in(r.text)) for r in responses]

    agreed = consensus_answers([off], TASK, 8)
    assert probe_of(evaluate_probe(off, TASK, 2), agreed).mean == 1.0
    assert probe_of(evaluate_probe(right, TASK, 2), agreed).mean == 0.0
    assert probe_of(evaluate_probe(right, replace(TASK, grade=grade), 2), None).mean == 1.0
    assert probe_of(evaluate_probe(off, replace(TASK, grade=grade), 2), None).mean == 0.0


def test_the_score_of_a_graded_reward_is_its_mean() -> None:
    half = evaluate_probe(toy(), replace(TASK, grade=lambda responses: [Score(0.3, "7") for _ in responses]), 2)
    assert probe_of(half, None).mean == pytest.approx(0.3)


def test_unjudged_answers_are_left_out_of_the_score() -> None:
    results = evaluate_probe(toy(), replace(TASK, grade=lambda responses: [Score(None, None) for _ in responses]), 2)
    assert probe_of(results, None).score == {}


def test_the_probe_asks_once_greedily_and_n_times_at_temperature_1() -> None:
    results = evaluate_probe(toy(), TASK, 3)
    assert [one.problem_id for one in results] == [prompt.problem_id for prompt in PROMPTS]
    assert all(one.greedy is not None and len(one.sampled) == 3 for one in results)
    assert all(s.response.prompt.problem_id == one.problem_id for one in results for s in one.sampled)
    # The same random numbers every time: an unchanged model gives the same responses.
    assert results == evaluate_probe(toy(), TASK, 3)


def test_signals_by_hand() -> None:
    def sample(text: str, tokens: int = 4, cut: bool = False) -> Sample:
        finish = "length" if cut else "stop"
        response = Response(Prompt("p", "?"), "?", 0, text, tuple(range(tokens)), -2.0, finish, "m", 0)
        return Sample(response, Score(None, answer_in(text)))

    found = signals([
        EvalResult("p0", sample("same"), (sample("#### 1"), sample("#### 1"))),
        EvalResult("p1", sample(" same "), (sample("#### 2", cut=True), sample("no"))),
        EvalResult("p2", sample("other"), (sample("#### 3"), sample("#### 4"))),
    ])  # fmt: skip
    assert found["same_text"] == pytest.approx(2 / 3)
    assert found["truncation_rate"] == pytest.approx(1 / 6) and found["end_rate"] == pytest.approx(5 / 6)
    assert found["parse_failure_rate"] == pytest.approx(1 / 6)
    assert found["duplicate_rate"] == pytest.approx((0.5 + 0 + 0) / 3)
    assert found["mean_length"] == 4.0 and found["token_entropy"] == pytest.approx(0.5)
