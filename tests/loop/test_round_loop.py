"""The loop and what it writes, on the toy model: every file is real, the model is a table of three numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import pytest
from datasets import load_dataset

from selftrain.engines.toy import ToyEngine
from selftrain.errors import RunError
from selftrain.evaluation import EvalConfig
from selftrain.graders import open_reader
from selftrain.loop.collapse_monitor import MonitorConfig
from selftrain.loop.learner import Learner
from selftrain.loop.progress import Progress
from selftrain.loop.round_loop import RoundLoop
from selftrain.loop.run_graders import RunGraders
from selftrain.loop.stopping import BudgetConfig, StopController
from selftrain.methods import RestEM
from selftrain.models.toy import ToyModel, toy_problems
from selftrain.problems.splits import DataSplits
from selftrain.storage import Record, RunFolder
from selftrain.training.base import TrainingConfig
from selftrain.training.toy import ToyTrainer
from selftrain.types import Problem, Response, Score


def grade(responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
    read = [r.text.rpartition("#### ")[2] if "####" in r.text else None for r in responses]
    return [
        Score(float(answer == problems[r.prompt.problem_id].reference), answer)
        for r, answer in zip(responses, read, strict=True)
    ]


def loop_in(
    folder: Path, grade=grade, seed: int = 3, examine=grade, problems_at_once: int = 512, **method
) -> RoundLoop:
    model = ToyModel()
    model.save(folder.parent / "base")
    problems = toy_problems(100)
    return RoundLoop(
        RestEM(**{"num_rounds": 2, "num_generations": 4} | method),
        [Learner(ToyEngine(model), ToyTrainer(model), str(folder.parent / "base"))],
        DataSplits(tuple(problems[:80]), tuple(problems[80:]), tuple(toy_problems(60, "test"))),
        RunGraders(grade, grade, examine, labelled=True, evaluation_grader=open_reader()),
        TrainingConfig(learning_rate=1.0),
        EvalConfig(num_generations_eval=4),
        MonitorConfig(),
        Record.create(folder, {}),
        Progress(quiet=True),
        seed,
        StopController(BudgetConfig(), ""),
        problems_at_once,
    )


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """Of a run that is over; all tests read the same."""
    loop = loop_in(tmp_path_factory.mktemp("done") / "run")
    loop.run()
    return loop.record


@pytest.fixture(scope="module")
def done(record: Record) -> RunFolder:
    return record.folder


def test_the_untouched_model_is_measured_first_and_the_rounds_beside_it(done: RunFolder) -> None:
    lines = done.rounds()
    assert [line["round"] for line in lines] == [0, 1, 2]
    assert "against_base" not in lines[0] and lines[0]["weights"].endswith("base")
    gain = lines[2]["against_base"]["pass@1"]
    assert gain["problems"] == 60 and gain["difference"] > 0.2 and gain["p_value"] < 0.01
    assert gain["difference"] == pytest.approx(
        lines[2]["metrics"]["pass@1"]["value"] - lines[0]["metrics"]["pass@1"]["value"]
    )


def test_every_sample_is_on_disk_with_its_fate(done: RunFolder) -> None:
    columns = (
        "model, round, problem_id, sample_index, prompt, completion, token_ids, finish_reason, "
        "reward, extracted_answer, kept, drop_reason, weight"
    )
    rows = done.query(f"select {columns} from samples order by round, problem_id, sample_index").fetchall()
    assert len(rows) == 2 * 80 * 4
    fates = dict(done.query("select drop_reason, count(*) from samples where round = 1 group by all").fetchall())
    assert sum(fates.values()) == 320
    line = done.rounds()[1]["sampling"]
    assert line["drop_reason"] == {why: count for why, count in fates.items() if why} and line["kept"] == fates[None]
    assert done.query("select count(*) from samples where kept and (reward <> 1 or weight <= 0)").fetchall() == [(0,)]
    assert done.query("select count(*) from samples where weights_version <> round - 1").fetchall() == [(0,)]


def test_no_validation_or_evaluation_problem_is_ever_sampled_for_data(done: RunFolder) -> None:
    leaked = "select count(*) from samples join problems using (problem_id) where part <> 'train'"
    assert done.query(leaked).fetchall() == [(0,)]
    assert done.query("select count(distinct problem_id) from evaluations").fetchall() == [(60,)]


def test_files_are_read_directly_by_duckdb_and_datasets(done: RunFolder) -> None:
    files = str(done.path / "samples" / "*.parquet")
    assert duckdb.sql(f"select count(*) from '{files}'").fetchall() == [(640,)]
    assert (
        len(load_dataset("parquet", data_files=files, split="train", cache_dir=str(done.path.parent / "cache"))) == 640
    )


def test_the_same_seed_gives_the_same_samples_and_another_seed_others(tmp_path: Path) -> None:
    def texts(name: str, seed: int) -> list[tuple]:
        loop = loop_in(tmp_path / name, seed=seed)
        loop.run()
        return loop.record.folder.query(
            "select round, problem_id, sample_index, completion, kept from samples order by all"
        ).fetchall()

    assert texts("a", 1) == texts("b", 1) != texts("c", 2)


def test_a_round_that_keeps_nothing_ends_the_run_and_changes_no_weight(tmp_path: Path, capsys) -> None:
    def nothing_is_right(responses, problems):
        return [Score(0.0, "0") for _ in responses]

    loop = loop_in(tmp_path / "run", nothing_is_right)
    loop.progress = Progress()
    before = list(loop.learners[0].trainer.model.logits)
    lines = loop.run()
    assert [line["round"] for line in lines] == [0, 1] and "training" not in lines[1]
    assert loop.learners[0].trainer.model.logits == before
    assert "kept none of its 320 samples (wrong: 320)" in capsys.readouterr().err


def test_starting_from_the_previous_round_changes_nothing_in_round_1(tmp_path: Path) -> None:
    def logits(name: str, start_from, rounds: int) -> list[float]:
        loop = loop_in(tmp_path / name, num_rounds=rounds)
        loop.training = TrainingConfig(learning_rate=1.0, start_from=start_from)
        loop.run()
        return list(loop.learners[0].trainer.model.logits)

    assert logits("a", "base", 1) == logits("b", "previous", 1)
    assert logits("c", "base", 2) != logits("d", "previous", 2)


@pytest.mark.parametrize("method", [{}, {"num_generations": 24, "stop_at_cap": True}, {"prompt_weight": "uniform"}])
def test_a_round_in_parts_comes_to_the_same(tmp_path: Path, method: dict[str, object]) -> None:
    """Where weights hang on all problems, it is not cut up."""
    files = []
    for at_once in (13, 512) if method else (1, 13, 512):
        (tmp_path / str(at_once)).mkdir()
        loop = loop_in(tmp_path / str(at_once) / "run", problems_at_once=at_once, **method)
        with loop.record:
            loop.run()
        folder = loop.record.folder.path
        names = ("samples/round-0001.parquet", "samples/round-0002.parquet", "problems.parquet")
        lines = (folder / "rounds.jsonl").read_text(encoding="utf-8").replace(str(folder.parent), "")
        files.append([lines, *((folder / name).read_bytes() for name in names)])
    assert all(one == files[-1] for one in files)


def test_problems_can_be_drawn_anew_each_round(tmp_path: Path) -> None:
    loop = loop_in(tmp_path / "run", problems_per_round=20)
    loop.run()
    drawn = loop.record.folder.query(
        "select round, list(distinct problem_id order by problem_id) from samples group by 1 order by 1"
    ).fetchall()
    assert [len(ids) for _, ids in drawn] == [20, 20] and drawn[0][1] != drawn[1][1]


def test_a_second_run_is_not_written_over_the_first(done: RunFolder) -> None:
    with pytest.raises(RunError, match="is not empty"):
        Record.create(done.path, {})


def test_a_wrong_query_names_the_tables(done: RunFolder) -> None:
    with pytest.raises(RunError, match="tables: samples, evaluations, problems, rounds"):
        done.query("select nonsense from samples")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run's folder"):
        RunFolder.open(tmp_path)


def test_best_is_a_link_to_weights_and_a_file_that_says_so(record: Record) -> None:
    done = record.folder
    record.point_best(2, {"toy": "unused"})
    assert (done.path / "best" / "toy.json").is_file()
    said = json.loads((done.path / "best.json").read_text())
    assert said == {"round": 2, "weights": {"toy": "weights/round-0002"}}
    (done.path / "best").unlink()
    record.point_best(0, {"toy": str(done.path.parent / "base")})
    assert (done.path / "best" / "toy.json").is_file()
    assert (done.path / "best").resolve() == (done.path.parent / "base").resolve()


def test_a_control_does_not_mark_its_own_work(tmp_path: Path) -> None:
    def always_one(responses, problems):
        return [Score(1.0, None) for _ in responses]

    loop = loop_in(tmp_path / "run", always_one, num_rounds=1)
    lines = loop.run()
    assert lines[1]["sampling"]["mean_reward"] == 1.0 and lines[1]["validation"] == 1.0
    assert lines[1]["metrics"]["pass@1"]["value"] < 0.6
