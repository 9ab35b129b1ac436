"""The command, the page it comes with, and a real run of a small model against what was said of it."""

from __future__ import annotations

import json
import random
import runpy
from pathlib import Path

import pytest

from selftrain.cli.commands.plan import parse_words
from selftrain.cli.main import run_cli
from selftrain.cli.plan import shape_of
from selftrain.errors import SettingsError
from selftrain.evaluation import EvalConfig
from selftrain.loop.collapse_monitor import MonitorConfig
from selftrain.loop.plan import Assumptions, RunShape, Scale, size
from selftrain.loop.progress import Progress
from selftrain.methods import RestEM, SePT
from selftrain.models.seeds import seed_model
from selftrain.problems import load_problems
from selftrain.storage import Record, RunFolder, sample_row
from selftrain.trainer import SelfTrainer
from selftrain.training.base import TrainingConfig
from selftrain.types import Prompt, Response, Sample, Score

ROOT = Path(__file__).parents[3]


def test_the_page_is_what_the_code_says() -> None:
    sizing = runpy.run_path(str(ROOT / "docs" / "make_sizing.py"))["sizing"]
    assert (ROOT / "docs" / "sizing.md").read_text(encoding="utf-8") == sizing()


def plan_of(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run_cli(["plan", *words])
    return code, *capsys.readouterr()


def test_other_hardware_is_priced_with_a_runs_own_flags(capsys: pytest.CaptureFixture[str]) -> None:
    recipe = str(ROOT / "recipes" / "sept_v2.yaml")
    words = ["sept", "--config", recipe, "--params", "3e9", "--gpus", "8", "--problems", "40315"]
    code, out, _ = plan_of(capsys, *words)
    assert code == 0 and "120,576" in out  # 942 rounds of 128
    assert "--training_processes" in out
    weighted = ["rest-em", "--params", "1e9", "--bf16", "--use_peft", "--problems", "100"]
    # The reward of a right answer may be above 1, and so the threshold.
    assert plan_of(capsys, *weighted, "--reward_threshold", "1.1") == plan_of(capsys, *weighted)
    code, out, _ = plan_of(capsys, *words, "--num_rounds", "10", "--json")
    assert code == 0 and json.loads(out)["work"]["samples"]["responses"] == 1280


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["sept", "--params", "1e9", "--num_round", "3"], "num_rounds"),
        (["rest-em", "--params", "7e9"], "--use_peft"),
        (["pst", "--params", "1e9", "2e9"], "3 models learn"),
        (
            ["sept", "--params", "1e9", "--problems", "100", "--validation_size", "100"],
            "no problem would be left to train on",
        ),
        (["sept", "--params", "1e9", "--config", "nowhere.yaml"], "nowhere.yaml cannot be read"),
        (["septt"], "choose among rest-em, sept, pst"),
        (["sept", "--params", "1e9", "--gpus", "0"], "gpus is 0 (flag --gpus)"),
        (["sept", "--dataset_name", "gsm8k"], "model_name_or_path must be given"),
    ],
)
def test_mistakes_are_told(capsys: pytest.CaptureFixture[str], words: list[str], told: str) -> None:
    code, _, err = plan_of(capsys, *words)
    assert code == 64 and told in err and "Traceback" not in err


def test_an_error_is_json_where_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = plan_of(capsys, "rest-em", "--params", "7e9", "--json")
    (error,) = json.loads(out)["errors"]
    assert code == 64 and "needs 140.0 GB" in error["found"]  # with the best epoch


def test_controls_and_labels_change_what_is_asked() -> None:
    def shape(*changes: str, method: str = "rest-em") -> RunShape:
        return shape_of(parse_words([method, "--params", "1e9", *changes]), problems=200, eval_problems=500)

    assert shape().labelled and shape().scores_independently and shape().validation_passes == 4
    shuffled, always_one = shape("--reward_funcs", "shuffled"), shape("--reward_funcs", "always_one")
    assert not shuffled.scores_independently and not shuffled.labelled
    assert always_one.scores_independently and always_one.validation_passes == 0
    assert shape("--probe_labels", method="sept").labelled and not shape(method="sept").labelled
    assert (shape().validation_problems, shape().train_problems) == (20, 180)
    few = shape(method="sept")  # whose default is 128
    assert (few.validation_problems, few.train_problems) == (66, 134)
    with pytest.raises(SettingsError):
        shape("--validation_size", "200")


@pytest.mark.slow
def test_a_real_run_is_what_was_said_of_it(tmp_path: Path) -> None:
    """Counts exactly, and tokens by the mean lengths that the run had."""
    method = RestEM(num_rounds=1, num_generations=8, max_completion_length=64, deduplicate="off", stop_at_cap=False)
    training = TrainingConfig(learning_rate=3e-4, num_train_epochs=2, validation_size=50, early_stopping="off")
    evaluation, monitor = EvalConfig(num_generations_eval=2), MonitorConfig(probe_generations=1)
    SelfTrainer(
        method=method, training=training, evaluation=evaluation, monitor=monitor, model=seed_model("llama"),
        train_dataset=load_problems("word_problems", split="train", max_problems=200, seed=1),
        eval_dataset=load_problems("word_problems", split="test", max_problems=60, seed=0),
        output_dir=tmp_path / "run", progress=Progress(quiet=True),
    ).train()  # fmt: skip
    folder = RunFolder(tmp_path / "run")
    facts = folder.rounds()[1]
    prompt, mean = folder.query("select avg(length(prompt)), avg(len(token_ids)) from samples").fetchall()[0]
    shape = RunShape(
        method=method, training=training, evaluation=evaluation, monitor=monitor, models=("llama",),
        train_problems=150, validation_problems=50, eval_problems=60, labelled=True, scores_independently=True,
    )  # fmt: skip
    weights = sum(file.stat().st_size for file in (tmp_path / "run/weights").rglob("*.safetensors"))
    given = Assumptions(
        completion_tokens=round(mean), question_tokens=round(prompt), share_right=facts["sampling"]["mean_reward"]
    )
    cost = size(shape, Scale(params=(weights / 4,), gpus=1, assumptions=given))
    samples = cost.work["samples"]
    assert samples.responses == facts["sampling"]["samples"] == 1200
    assert samples.responses * mean == pytest.approx(facts["sampling"]["tokens"])
    assert samples.trained == pytest.approx(2 * facts["sampling"]["kept"], rel=0.15)
    recorded = folder.query("select count(*) from evaluations").fetchall()[0][0]
    assert recorded == 60 * 3 * len(shape.evaluated_rounds) == cost.work["evaluation"].responses
    assert cost.disk["weights"] == pytest.approx(weights)


@pytest.mark.parametrize("n", [1, 8])
def test_bytes_of_real_answers_are_what_was_said(tmp_path: Path, data: Path, n: int) -> None:
    """Human solutions of GSM8K, with token ids as frequent as those of a large vocabulary."""
    rows = [json.loads(line) for line in (data / "gsm8k" / "train.jsonl").read_text("utf-8").splitlines()]
    problems, rng, answers = 2400 // n, random.Random(0), []
    for place in range(problems):
        prompt = Prompt(f"gsm8k/train/{place}", rows[place]["question"])
        for index in range(n):
            text = rows[place + index * problems]["answer"]
            ids = tuple(int(150_000 ** rng.random()) for _ in range(round(len(text) / 3.5)))
            response = Response(
                prompt, f"Question: {prompt.question}\nAnswer:", index, text, ids, -0.7 * len(ids), "stop", "m", 0
            )
            answers.append(Sample(response, Score(1.0, text[-3:], "equal as numbers"), 1.0))
    with Record.create(tmp_path / "run", {}) as record, record.writing_samples(1) as put:
        put(sample_row(one, 1, one.score.extracted_answer) for one in answers)
    tokens = sum(len(one.response.token_ids) for one in answers)
    questions = sum(len(row["question"]) / 3.5 for row in rows[:problems])
    shape = RunShape(
        method=SePT(num_rounds=1, problems_per_round=problems, num_generations=n), training=TrainingConfig(),
        evaluation=EvalConfig(), monitor=MonitorConfig(), models=("m",), train_problems=problems,
        validation_problems=0, eval_problems=1,
    )  # fmt: skip
    given = Assumptions(completion_tokens=round(tokens / len(answers)), question_tokens=round(questions / problems))
    file = (tmp_path / "run/samples/round-0001.parquet").stat().st_size
    assert size(shape, Scale(params=(1e9,), gpus=1, assumptions=given)).disk["samples"] == pytest.approx(file, rel=0.15)
