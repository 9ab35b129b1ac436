"""Which round is the best: what the tracker decides, and what runs of toy models keep."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selftrain.evaluation import EvalConfig
from selftrain.loop.best_round import BestRoundTracker
from selftrain.loop.collapse_monitor import MonitorConfig
from selftrain.loop.probe import Probe
from selftrain.loop.round_loop import RoundLoop, mean_score
from selftrain.loop.run_to_end import run_to_end
from selftrain.loop.stopping import BudgetConfig, StopController
from selftrain.methods import SePT
from selftrain.methods.base import collected_from
from selftrain.methods.filters import drop
from selftrain.methods.sept import SePTTrainingConfig
from selftrain.report.best_round import BestRound
from selftrain.report.history import RunHistory
from selftrain.report.round_record import RoundRecord
from selftrain.storage import RunFolder
from selftrain.types import Collected, Round, Sample
from tests.toys.model import toy_problems
from tests.toys.runs import grade, graders_of, read, run_toys, toy, toy_run

#: Round, score, whether it is evaluated.
Seen = tuple[int, float, bool]


def decided(*rounds: Seen, validated: bool = True) -> tuple[BestRound, set[int]]:
    """The decision, and the rounds whose weights are left."""
    kept: set[int] = set()
    tracker = BestRoundTracker("reward" if validated else None, kept.discard)
    for number, score, evaluated in rounds:
        if evaluated:
            kept.add(number)
        tracker.add(
            number, score if validated else None, evaluated=evaluated, save=lambda number=number: kept.add(number)
        )
    return tracker.decide(), kept


@pytest.mark.parametrize(
    ("scores", "best", "headline"),
    [
        ([0.5, 0.6, 0.55], 1, 1),
        # Of equal ones the later; but no better than the base model is no gain.
        ([0.5, 0.6, 0.6], 2, 2),
        ([0.5, 0.5, 0.4], 0, 1),
        ([0.5], 0, None),
        ([], 0, None),
    ],
)
def test_the_highest_score_wins_and_has_to_beat_the_base(scores: list[float], best: int, headline: int | None) -> None:
    decision, _ = decided(*((number, score, True) for number, score in enumerate(scores)))
    assert decision == BestRound(best, headline, "reward")


def test_without_validation_it_is_the_last_that_trained() -> None:
    assert decided((0, 0.9, True), (1, 0.9, True), (2, 0.1, True), validated=False)[0] == BestRound(2, 2, None)
    assert decided((0, 0.9, True), validated=False)[0] == BestRound(0, None, None)


def test_weights_of_an_unevaluated_best_round_are_kept_until_a_better_one() -> None:
    start: list[Seen] = [(0, 0.5, True), (1, 0.6, False)]
    assert decided(*start) == (BestRound(1, 1, "reward"), {0, 1})
    assert decided(*start, (2, 0.55, False)) == (BestRound(1, 1, "reward"), {0, 1})
    assert decided(*start, (2, 0.7, False)) == (BestRound(2, 2, "reward"), {0, 2})
    # Of equal ones the evaluated is preferred: its weights are kept anyway.
    assert decided(*start, (2, 0.6, True)) == (BestRound(2, 2, "reward"), {0, 2})
    assert decided(*start, (2, 0.6, False)) == (BestRound(1, 1, "reward"), {0, 1})
    assert decided((0, 0.5, True), (1, 0.4, False), (2, 0.3, True)) == (BestRound(0, 2, "reward"), {0, 2})


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.4, 0.6, 0.8]), st.booleans()), max_size=12))
def test_no_round_beats_the_best_and_its_weights_are_there(rounds: list[tuple[float, bool]]) -> None:
    seen = [(0, 0.4, True), *((number, *of) for number, of in enumerate(rounds, start=1))]
    decision, kept = decided(*seen)
    scores = {number: score for number, score, _ in seen}
    assert scores[decision.round] == max(scores.values()) and decision.round in kept
    assert len(kept) <= 1 + sum(evaluated for _, _, evaluated in seen)


def test_models_are_chosen_together_by_their_mean() -> None:
    """Also one that trained on nothing in a round."""
    probes = {"a": Probe({"p": 1.0, "q": 0.0}, {}), "b": Probe({"p": 1.0, "q": 1.0}, {})}
    assert mean_score(probes) == 0.75 and mean_score({}) is None


# In runs


class Up(SePT):
    """Learns what is right in the first two rounds, then what is one too high."""

    def collect(self, round: Round) -> Collected:
        collected = super().collect(round)
        gold = {problem.id: problem.reference for problem in toy_problems(100)}
        good = round.number <= 2

        def unwanted(sample: Sample) -> bool:
            answer = sample.score.extracted_answer
            return answer is None or (answer == gold[sample.response.prompt.problem_id]) != good

        return collected_from(drop(collected.samples, "unwanted", unwanted), "toy")


RARELY, EVERY_ROUND = (
    EvalConfig(num_generations_eval=1, eval_rounds=50),
    MonitorConfig(probe_rounds=1, collapse_watch="off"),
)
#: All greedy answers of a toy are right, or all are wrong: the validation score is 1 or 0.
BY_LABEL = graders_of(read, grade, grade, labelled=True)


TRAINING = SePTTrainingConfig(learning_rate=1.0, warmup_steps=0, warmup_ratio=0.0)


def up_and_down(folder: Path, num_rounds: int = 5, method: type[SePT] = Up) -> RunHistory:
    run = toy_run(
        folder, method(num_rounds=num_rounds, problems_per_round=None), [toy("toy", 0.9, 1.0, 0.0)], training=TRAINING,
        graders=BY_LABEL, evaluation=RARELY, monitor=EVERY_ROUND,
    )  # fmt: skip
    return RoundLoop(run).run()


def scores_of(records: Sequence[RoundRecord]) -> dict[int, float]:
    return {record.round: record.validation_score for record in records if record.validation_score is not None}


def test_a_best_round_between_two_evaluations_is_kept_evaluated_and_chosen(tmp_path: Path) -> None:
    history = up_and_down(tmp_path / "run")
    scores = scores_of(history.records)
    top = max(scores, key=lambda number: scores[number])
    assert scores[0] == scores[5] == 0 and 0 < top < 5 and history.best == BestRound(top, top, "reward", 20)
    best = history.records[top]
    assert best.round == top and best.metrics and best.against_base and best.training
    assert sorted(path.name for path in (tmp_path / "run" / "weights").iterdir()) == [f"round-000{top}", "round-0005"]
    assert (tmp_path / "run" / best.weights / "toy.json").is_file()
    # The late evaluation adds to the line of its round.
    assert [line["round"] for line in RunFolder(tmp_path / "run").rounds()] == [0, 1, 2, 3, 4, 5]


def test_weights_of_an_overtaken_best_round_are_not_left_behind(tmp_path: Path) -> None:
    class Rising(Up):
        def collect(self, round: Round) -> Collected:
            return super().collect(replace(round, number=1))

    method = Rising(num_rounds=6, problems_per_round=None, refresh="never")
    run_toys(
        tmp_path / "run", method, [toy("toy", 0.0, 1.5, 0.0)], graders=BY_LABEL, evaluation=RARELY, monitor=EVERY_ROUND,
        training=replace(TRAINING, learning_rate=0.6), base_models=lambda: [toy("toy", 0.0, 0.0, 0.0)],
    )  # fmt: skip
    assert [path.name for path in (tmp_path / "run" / "weights").iterdir()] == ["round-0006"]


@pytest.mark.parametrize(("keep", "left"), [("all", {1, 2, 3, 4, 5}), ("last", {2, 5}), ("best", {2})])
def test_only_weights_that_are_asked_for_stay(
    tmp_path: Path, keep: Literal["all", "last", "best"], left: set[int]
) -> None:
    """Of five evaluated rounds, the second being the best; while the run goes on it can always be resumed."""
    run = toy_run(
        tmp_path / "run", Up(num_rounds=5, problems_per_round=None), [toy("toy", 0.9, 1.0, 0.0)], training=TRAINING,
        graders=BY_LABEL, evaluation=EvalConfig(num_generations_eval=1), monitor=EVERY_ROUND,
        stops=StopController(BudgetConfig(keep_weights=keep), ""),
    )  # fmt: skip
    history = run_to_end(run, {"toy": "toy"}).history
    assert history.best == BestRound(2, 2, "reward", 20)
    assert {path.name for path in (tmp_path / "run" / "weights").iterdir()} == {f"round-000{number}" for number in left}
    assert [record.round for record in history.records if record.metrics] == [0, 1, 2, 3, 4, 5]


def test_a_round_that_keeps_nothing_does_not_cost_the_best_weights(tmp_path: Path) -> None:
    class Dries(Up):
        """Rises for two rounds; then nothing is kept."""

        def collect(self, round: Round) -> Collected:
            collected = super().collect(round)
            if round.number < 3:
                return collected
            return Collected(tuple(drop(collected.samples, "unwanted", lambda s: True)), {"toy": ()})

    history = up_and_down(tmp_path / "run", num_rounds=9, method=Dries)
    last = history.records[-1]
    assert last.round == 3 and last.training is None
    scores = scores_of(history.records)
    assert history.best is not None and history.best.round in (1, 2)
    best = history.records[history.best.round]
    assert scores[best.round] == max(scores.values()) > scores[0]
    assert (tmp_path / "run" / best.weights / "toy.json").is_file() and best.metrics


def test_best_is_a_link_to_weights_and_a_file_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    run = toy_run(tmp_path / "run", SePT(num_rounds=1, problems_per_round=None), training=TRAINING)
    run.learners[0].save(tmp_path / "base")
    RoundLoop(run).run()
    record, bases = run.context.record, {"toy": str(tmp_path / "base")}
    record.point_best({"round": 1, "headline_round": 1, "validated_by": "consensus"}, bases)
    assert (tmp_path / "run" / "best" / "toy.json").is_file()
    assert json.loads((tmp_path / "run" / "best.json").read_text()) == {
        "round": 1, "headline_round": 1, "validated_by": "consensus", "weights": {"toy": "weights/round-0001"},
    }  # fmt: skip
    (tmp_path / "run" / "best").unlink()
    record.point_best({"round": 0}, bases)
    assert (tmp_path / "run" / "best").resolve() == (tmp_path / "base").resolve()
