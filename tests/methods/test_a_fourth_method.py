"""A method of another package is one file and an entry point: it gets command, flags, YAML, the loop and the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from selftrain.models.seeds import seed_model
from selftrain.storage import RunFolder
from tests.engines.test_registry import PAGE as LOUD
from tests.pages import file_of
from tests.plugins import install, selftrain

#: The one file: self-training on what most of a model's own answers agree on. It needs no grader.
PAGE = file_of("docs/how_to/method.md", "majority.py")


@pytest.fixture
def plugins(here: Path) -> dict[str, str]:
    return install(here / "site", "majority", PAGE, "[selftrain.methods]\nmajority = majority:Majority\n")


@pytest.mark.slow
def test_a_method_of_another_package_runs_as_our_own_do(here: Path, plugins: dict[str, str]) -> None:
    """By an engine of a third package."""
    install(here / "site", "loud", LOUD, "[selftrain.engines]\nloud = loud:ENTRY\n")
    words = ["--model_name_or_path", seed_model("llama"), "--dataset_name", "word_problems", "--output_dir", "run",
             "--max_train_samples", "20", "--max_eval_samples", "8", "--num_generations_eval", "1",
             "--num_generations", "4", "--max_completion_length", "48", "--engine", "loud", "--loud_mark", "?!",
             "--learning_rate", "3e-4", "--num_train_epochs", "1"]  # fmt: skip
    selftrain("majority", *words, env=plugins)
    folder = RunFolder.open("run")
    assert [line["round"] for line in folder.rounds()] == [0, 1]
    fates = dict(folder.query("select drop_reason, count(*) from samples group by 1").fetchall())
    assert {None, "outvoted"} <= set(fates) <= {None, "outvoted", "no answer"} and sum(fates.values()) == 18 * 4
    # No label was looked at: not to stop, not to choose, and the validation problems were probed all the same.
    assert folder.query(
        "select count(*) from problems where part <> 'evaluation' and reference is not null"
    ).fetchall() == [(0,)]
    last = folder.rounds()[1]
    completions = folder.query("select completion from samples union all select completion from evaluations").fetchall()
    assert all(text.endswith("?!") for (text,) in completions)
    assert last["validated_by"] == "consensus" and last["training"]["validation_metric"] == []


def test_the_other_commands_know_it(here: Path, plugins: dict[str, str]) -> None:
    assert "majority  train on what most responses agree on" in selftrain("--help", env=plugins).stdout
    text = selftrain("plan", "majority", "--params", "1e9", "--profile", "careful", env=plugins).stdout
    assert f"{6750 * 4:,}" in text  # a tenth of 7,500 problems is held out
    message = selftrain("majority", "--num_generations", "0", env=plugins, code=64).stderr
    assert "num_generations is 0 (flag --num_generations)\nexpected int, at least 1" in message


def test_a_method_that_cannot_be_imported_leaves_the_others_alone(here: Path, plugins: dict[str, str]) -> None:
    (here / "site" / "majority.py").write_text("import nothing_like_it\n")
    done = selftrain("--help", env=plugins)
    assert "majority:Majority is left out: ModuleNotFoundError" in done.stderr
    assert "rest-em" in done.stdout and "majority " not in done.stdout
