"""What a round's evaluation measures, on toy models; and which round is the best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from selftrain.engines.toy import ToyEngine
from selftrain.evaluation import Estimate, EvalConfig
from selftrain.graders import open_reader
from selftrain.loop.collapse_monitor import MonitorConfig
from selftrain.loop.learner import Learner
from selftrain.loop.run_graders import RunGraders
from selftrain.methods import PST, SePT
from selftrain.methods.base import collected_from
from selftrain.methods.filters import drop
from selftrain.methods.pst import PSTTrainingConfig
from selftrain.methods.sept import SePTTrainingConfig
from selftrain.models.toy import ToyModel, toy_problems
from selftrain.storage import RunFolder
from selftrain.trainer import best_round
from selftrain.training.toy import ToyTrainer
from selftrain.types import Collected, Round, Sample, SamplingParams
from tests.toys import grade, read, toy, toy_loop

RIGHT, OFF, SILENT = (9.0, 0.0, 0.0), (0.0, 9.0, 0.0), (0.0, 0.0, 9.0)
STILL = PSTTrainingConfig(learning_rate=1e-9)


def team(folder: Path, habits: Mapping[str, tuple[float, ...]], **fields: Any) -> list[dict[str, Any]]:
    """One round of models that each have one habit, and keep it."""
    learners = [toy(name, *logits) for name, logits in habits.items()]
    return toy_loop(folder, PST(num_rounds=1, top_p=1.0), learners, **{"training": STILL} | fields).run()


def greedy(lines: list[dict[str, Any]], number: int) -> dict[str, float]:
    return {line["model"]: line["metrics"]["greedy"]["value"] for line in lines if line["round"] == number}


def test_several_models_are_measured_alone_in_turn_and_by_vote(tmp_path: Path) -> None:
    lines = team(tmp_path / "run", {"a": RIGHT, "b": RIGHT, "c": OFF})
    # Each has the last word on a third of the 60 problems; two of three outvote the third.
    assert greedy(lines, 0) == {"a": 1.0, "b": 1.0, "c": 0.0, "aggregate": pytest.approx(2 / 3), "majority": 1.0}
    assert greedy(lines, 1) == greedy(lines, 0)
    together = [line for line in lines if line["model"] in ("aggregate", "majority")]
    assert all(line["together"] and not {"weights", "training", "sampling"} & line.keys() for line in together)
    assert all("against_base" in line for line in together if line["round"] == 1)
    # They are read back as they were told, in the order in which they were written.
    assert [(line["round"], line["model"]) for line in RunFolder(tmp_path / "run").rounds()] == [
        (number, name) for number in (0, 1) for name in ("a", "b", "c", "aggregate", "majority")
    ]


def test_silent_models_have_no_vote(tmp_path: Path) -> None:
    assert greedy(team(tmp_path / "run", {"a": SILENT, "b": RIGHT, "c": SILENT}), 0)["majority"] == 1.0


def test_the_table_of_answers_holds_each_models_own_answers_only(tmp_path: Path) -> None:
    team(tmp_path / "run", {"a": RIGHT, "b": OFF, "c": OFF}, evaluation=EvalConfig(num_generations_eval=3))
    counted = RunFolder(tmp_path / "run").query(
        "select model, greedy, count(*) from evaluations where round = 0 group by all order by all"
    )
    assert counted.fetchall() == [(name, is_greedy, 60 * (1 if is_greedy else 3))
                                  for name in "abc" for is_greedy in (False, True)]  # fmt: skip


class Spy(ToyEngine):
    """Notes how it was asked."""

    asked: list[tuple[str, SamplingParams]]

    def generate(self, request):
        self.asked.append((request.key, request.params))
        return super().generate(request)


def sept_run(folder: Path, **fields: Any) -> tuple[list[dict[str, Any]], list[tuple[str, SamplingParams]]]:
    model = ToyModel()
    engine = Spy(model)
    engine.asked = []
    method = fields.pop("method", SePT(num_rounds=2, problems_per_round=None))
    training = SePTTrainingConfig(learning_rate=0.5, warmup_steps=0, warmup_ratio=0.0)
    return toy_loop(folder, method, [Learner(engine, ToyTrainer(model), "base")],
                    **{"training": training} | fields).run(), engine.asked  # fmt: skip


def test_only_the_untouched_model_is_swept(tmp_path: Path) -> None:
    sweep = EvalConfig(num_generations_eval=2, temperature_sweep=(0.0, 0.3, 1.0))
    lines, asked = sept_run(tmp_path / "run", evaluation=sweep)
    assert [("sweep" in line, "against_best_decoded" in line) for line in lines] == [(True, False)] + [
        (False, True)
    ] * 2
    assert set(lines[0]["sweep"]["by_temperature"]) == {"0", "0.3", "1"}
    told = [sampling.temperature for key, sampling in asked if "/sweep" in key]
    assert set(told) == {0.0, 0.3, 1.0} and len(told) == len(set(told)) * 4
    # Every round is held against the same figure.
    best = lines[0]["sweep"]["estimate"]["value"]
    for line in lines[1:]:
        one = line["against_best_decoded"]["greedy against the best-decoded base"]
        assert one["base"] == pytest.approx(best)


def test_the_gap_of_generator_and_verifier_is_measured_with_labels_only(tmp_path: Path) -> None:
    gap = EvalConfig(
        num_generations_eval=1, gv_gap=True, gv_gap_problems=10, gv_gap_generations=4, gv_gap_verifier="likelihood",
        temperature_sweep=(0.0, 1.0),
    )  # fmt: skip
    lines, _ = sept_run(tmp_path / "with", evaluation=gap)
    assert all("gv_gap" in line for line in lines)
    parts = toy_loop(tmp_path / "unused", SePT()).parts
    bare = tuple(replace(problem, reference=None) for problem in parts.evaluation)
    lines, _ = sept_run(
        tmp_path / "without", evaluation=gap, parts=replace(parts, evaluation=bare),
        graders=RunGraders(read, read, read, labelled=False, evaluation_grader=open_reader()),
    )  # fmt: skip
    for line in lines:
        assert not {"gv_gap", "sweep", "against_best_decoded"} & line.keys()
        assert not {"greedy", "pass@1"} & line["metrics"].keys() and "agreement" in line["metrics"]


def test_all_rounds_are_asked_with_the_same_luck(tmp_path: Path) -> None:
    lines, _ = sept_run(tmp_path / "run", training=SePTTrainingConfig(learning_rate=1e-9))
    told = "select round, string_agg(completion, '|' order by problem_id, greedy, sample_index) from evaluations"
    texts = RunFolder(tmp_path / "run").query(f"{told} group by 1").fetchall()
    assert len(texts) == 3 and len({text for _, text in texts}) == 1
    assert all(one["difference"] == 0 for one in lines[2]["against_base"].values())


# The best round


def told(number: int, validation: float | None = None, model: str = "llama", learnt: bool = True, **more) -> dict:
    line: dict[str, Any] = {"round": number, "model": model, "weights": "somewhere"}
    line |= {} if validation is None else {"validation": validation}
    return line | ({"training": {"steps": 1}} if number and learnt else {}) | more


def without_weights(line: dict) -> dict:
    return {key: value for key, value in line.items() if key != "weights"}


@pytest.mark.parametrize(
    ("rounds", "best"),
    [
        ([told(0, 0.5), told(1, 0.6), told(2, 0.55)], 1),
        # Of equal ones the later; but no better than the untouched model is no gain.
        ([told(0, 0.5), told(1, 0.6), told(2, 0.6)], 2),
        ([told(0, 0.5), told(1, 0.5), told(2, 0.4)], 0),
        ([told(0, 0.5)], 0),
        # Only what was saved can be kept.
        ([told(0, 0.5), without_weights(told(1, 0.9)), told(2, 0.6)], 2),
        # A round that kept nothing trained nothing.
        ([told(0, 0.5), told(1, 0.6), told(2, 0.7, learnt=False)], 1),
        # Without D_val it is the last that trained, and what the report speaks of has no say.
        ([told(0), told(1, metrics={"greedy": {"value": 0.9}}), told(2, metrics={"greedy": {"value": 0.1}})], 2),
        ([told(0), told(1), told(2, learnt=False)], 1),
        # The mean over the models, which stand or fall together.
        ([told(0, 0.5, "a"), told(0, 0.5, "b"), told(1, 0.9, "a"), told(1, 0.3, "b"),
          told(2, 0.6, "a"), told(2, 0.5, "b")], 1),
        ([told(0, 0.5, "a"), told(0, 0.7, "b"), told(1, 0.9, "a"), told(1, 0.2, "b")], 0),
        # One that had no lesson in a round counts all the same.
        ([told(0, 0.9, "a"), told(0, 0.3, "b"), told(1, 0.8, "a"), told(1, 0.3, "b", learnt=False)], 0),
    ],
)  # fmt: skip
def test_the_best_round(rounds: list[dict], best: int) -> None:
    assert best_round(rounds) == best
    together = [{"round": number, "model": "majority", "together": True, "metrics": {}} for number in (0, 1)]
    assert best_round([*rounds, *together]) == best


class Up(SePT):
    """Learns what is right in the first two rounds, then what is one too high."""

    def collect(self, now: Round) -> Collected:
        lessons = super().collect(now)
        gold = {problem.id: problem.reference for problem in toy_problems(100)}
        good = now.number <= 2

        def unwanted(sample: Sample) -> bool:
            answer = sample.score.extracted_answer
            return answer is None or (answer == gold[sample.response.prompt.problem_id]) != good

        return collected_from(drop(lessons.samples, "unwanted", unwanted), "toy")


RARELY, EVERY_ROUND = (
    EvalConfig(num_generations_eval=1, eval_rounds=50),
    MonitorConfig(probe_rounds=1, collapse_watch="off"),
)
#: All greedy answers of a toy are right, or all are wrong: the score on D_val is 1 or 0.
BY_LABEL = RunGraders(read, grade, grade, labelled=True, evaluation_grader=open_reader())


def up_and_down(folder: Path, num_rounds: int = 5, method: type[SePT] = Up) -> list[dict[str, Any]]:
    learner = toy("toy", 0.9, 1.0, 0.0)
    training = SePTTrainingConfig(learning_rate=1.0, warmup_steps=0, warmup_ratio=0.0)
    return toy_loop(
        folder, method(num_rounds=num_rounds, problems_per_round=None), [learner], training=training, graders=BY_LABEL,
        evaluation=RARELY, monitor=EVERY_ROUND,
    ).run()  # fmt: skip


def test_a_peak_between_two_evaluations_is_kept_measured_and_chosen(tmp_path: Path) -> None:
    lines = up_and_down(tmp_path / "run")
    scores = {line["round"]: line["validation"] for line in lines}
    top = max(scores, key=lambda number: scores[number])
    assert scores[0] == scores[5] == 0 and 0 < top < 5 and best_round(lines) == top
    (peak,) = (line for line in lines if line["round"] == top)
    assert peak["metrics"] and peak["against_base"] and "training" in peak
    assert sorted(path.name for path in (tmp_path / "run" / "weights").iterdir()) == [f"round-000{top}", "round-0005"]
    assert (tmp_path / "run" / peak["weights"] / "toy.json").is_file()
    # On disk as in hand, each round once.
    assert [line["round"] for line in RunFolder(tmp_path / "run").rounds()] == [0, 1, 2, 3, 4, 5]
    on_disk = {line["round"]: line for line in RunFolder(tmp_path / "run").rounds()}
    assert on_disk[top]["metrics"] == peak["metrics"]


def test_weights_of_an_overtaken_peak_are_not_left_behind(tmp_path: Path) -> None:
    class Rising(Up):
        def collect(self, now: Round) -> Collected:
            return super().collect(replace(now, number=1)) if now.number < 99 else super().collect(now)

    learner = toy("toy", 0.0, 1.5, 0.0)
    method = Rising(num_rounds=6, problems_per_round=None, refresh="never")
    toy_loop(
        tmp_path / "run", method, [learner], graders=BY_LABEL, evaluation=RARELY, monitor=EVERY_ROUND,
        training=SePTTrainingConfig(learning_rate=0.6, warmup_ratio=0.0, warmup_steps=0),
        base_models=lambda: [toy("toy", 0.0, 0.0, 0.0)],
    ).run()  # fmt: skip
    assert [path.name for path in (tmp_path / "run" / "weights").iterdir()] == ["round-0006"]


def test_a_round_that_keeps_nothing_does_not_cost_the_best_weights(tmp_path: Path) -> None:
    class Dries(Up):
        """Rises for two rounds; then nothing is kept."""

        def collect(self, now: Round) -> Collected:
            lessons = super().collect(replace(now, number=min(now.number, 2)) if now.number < 3 else now)
            if now.number < 3:
                return lessons
            samples = drop(lessons.samples, "unwanted", lambda s: True)
            return Collected(tuple(samples), {"toy": ()})

    lines = up_and_down(tmp_path / "run", num_rounds=9, method=Dries)
    assert lines[-1]["round"] == 3 and "training" not in lines[-1]
    scores = {line["round"]: line["validation"] for line in lines}
    best = best_round(lines)
    assert best in (1, 2) and scores[best] == max(scores.values()) > scores[0]
    (line,) = (line for line in lines if line["round"] == best)
    assert (tmp_path / "run" / line["weights"] / "toy.json").is_file() and "metrics" in line


def test_estimates_are_plain_numbers_in_the_record(tmp_path: Path) -> None:
    lines = team(tmp_path / "run", {"a": RIGHT, "b": OFF, "c": OFF})
    assert asdict(Estimate(**lines[0]["metrics"]["greedy"])) == lines[0]["metrics"]["greedy"]
