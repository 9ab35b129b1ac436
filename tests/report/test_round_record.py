"""The lines of rounds.jsonl: strict JSON, read back as they were."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from selftrain.errors import RunError
from selftrain.methods import SePT
from selftrain.report.round_record import Alarm, RoundRecord, SamplingSummary, read_rounds
from selftrain.storage import RunFolder
from tests.toys.runs import run_toys

from .runs import GAIN, SAMPLING, TRAINING, real, record, swept


@pytest.mark.parametrize("records", [GAIN, real("pst"), swept(real("sept"))], ids=["gain", "pst", "swept"])
def test_records_are_read_back_as_they_were(records: list[RoundRecord]) -> None:
    for one in records:
        alarmed = replace(one, alarms=(Alarm(one.model, severe=True, reason="fell"),), unsafe="ran unsandboxed")
        text = json.dumps(alarmed.to_dict(), allow_nan=False)
        back = RoundRecord.from_dict(json.loads(text))
        assert back == alarmed and back.seconds == alarmed.seconds


def test_what_was_not_measured_has_no_key() -> None:
    assert RoundRecord(round=3, model="llama").to_dict() == {"round": 3, "model": "llama"}
    assert "held_back_gap" not in record(1).to_dict()["sampling"]


def test_a_loss_that_is_not_finite_is_null() -> None:
    broken = record(1, training=replace(TRAINING, loss_last=math.nan))
    assert broken.to_dict()["training"]["loss_last"] is None
    back = RoundRecord.from_dict(broken.to_dict())
    assert back.training is not None and math.isnan(back.training.loss_last)


def test_the_total_of_several_rounds() -> None:
    total = SamplingSummary.total([SAMPLING, replace(SAMPLING, tokens=8000, drop_reasons={"wrong": 1})])
    assert (total.samples, total.kept, total.mean_length, total.mean_reward) == (16_000, 8380, 0.5, None)
    assert total.drop_reasons["wrong"] == 3001 and total.drop_reasons["duplicate"] == 700


def refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is no JSON")


def test_a_runs_file_is_strict_json_and_reads_as_its_records(tmp_path: Path) -> None:
    records = run_toys(tmp_path / "run", SePT(num_rounds=1, problems_per_round=20))
    lines = (tmp_path / "run" / "rounds.jsonl").read_text(encoding="utf-8").splitlines()
    plain = [json.loads(line, parse_constant=refuse) for line in lines]
    assert [RoundRecord.from_dict(line) for line in plain] == list(records)
    assert all({"sample", "train"} <= one.seconds.keys() for one in records if one.round)


def test_a_line_of_another_version_is_refused_by_its_place(tmp_path: Path) -> None:
    run_toys(tmp_path / "run", SePT(num_rounds=1, problems_per_round=20))
    with (tmp_path / "run" / "rounds.jsonl").open("a") as file:
        file.write('{"round": 1, "model": "toy", "surprise": 3}\n')
    with pytest.raises(RunError, match=r"round 1 of 'toy' in .*rounds.jsonl has the unknown key 'surprise'"):
        read_rounds(RunFolder(tmp_path / "run"))
