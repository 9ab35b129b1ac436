"""`selftrain report` of one run and of several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from selftrain.cli.main import run_cli
from selftrain.loop.run_to_end import run_to_end
from selftrain.methods import RestEM
from selftrain.models.toy import ToyModel
from selftrain.problems.splits import DataSplits
from tests.toys import grade, graders_of, toy, toy_problems, toy_run


def finished(folder: Path, **changes: object) -> None:
    graders, learner = graders_of(grade, grade, grade, labelled=True), toy(base=str(folder.parent / "base"))
    run = toy_run(folder, RestEM(num_rounds=2, num_generations=4), [learner], graders=graders, **changes)
    with run.context.record:
        run_to_end(run, {"toy": learner.base})


def test_runs_are_compared_with_their_base_and_with_the_first(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    ToyModel().save(here / "base")
    finished(here / "first")
    finished(here / "second", seed=4)
    others = [replace(one, question=f"Again: {one.question}") for one in toy_problems(30, "others")]
    train, validation = toy_problems(100)[:80], toy_problems(100)[80:]
    finished(here / "third", splits=DataSplits(tuple(train), tuple(validation), tuple(others)))
    assert run_cli(["report", "first", "second", "third"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert "against first" in rows["run"]
    assert rows["first"].count("60 problems") == 1 and rows["second"].count("60 problems") == 2
    assert rows["third"].count("30 problems") == 1 and rows["third"].rstrip().endswith("–")
    assert run_cli(["report", "first"]) == 0
    assert "page: " in capsys.readouterr().out
    assert run_cli(["report", "first", "nowhere"]) != 0
    assert "'nowhere' is not a run's folder" in capsys.readouterr().err
