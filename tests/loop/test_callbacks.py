"""Callbacks are told each round once, and what they raise stops a run that can be resumed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from selftrain.errors import RunError
from selftrain.loop.callbacks import Callback, open_callbacks
from selftrain.loop.run_to_end import run_to_end
from selftrain.methods import RestEM
from selftrain.report.round_record import RoundRecord
from selftrain.storage import Record, check_run
from selftrain.types import Sample
from tests.toys.model import ToyModel
from tests.toys.runs import grade, graders_of, toy, toy_run


class Notes(Callback):
    def __init__(self, fails_in: str = "") -> None:
        self.rounds: list[int] = []
        self.samples: list[Sample] = []
        self.fails_in = fails_in

    def on_round_end(self, record: RoundRecord) -> None:
        self._fail(f"round {record.round}")
        self.rounds.append(record.round)

    def on_samples(self, number: int, samples: Sequence[Sample]) -> None:
        self._fail(f"samples {number}")
        self.samples += samples

    def _fail(self, where: str) -> None:
        if where == self.fails_in:
            raise KeyError("no such column")


def rows_of(folder: Path, callback: Callback, resume: bool = False) -> list[object]:
    """Two rounds of a toy; what its tables hold."""
    base = folder.parent / "base"
    ToyModel().save(base)
    record = Record.resume(folder) if resume else Record.create(folder, {"settings": {}})
    with record:
        record.describe({"environment.json": "{}", "settings.yaml": ""})
        run = toy_run(
            folder.parent / f"unused-{folder.name}-{resume}", RestEM(num_rounds=2, num_generations=4),
            [toy(base=str(base))], record=record, graders=graders_of(grade, grade, grade, labelled=True),
        )  # fmt: skip
        run_to_end(run, {"toy": str(base)}, [open_callbacks([callback], record)])
        rounds = (folder / "rounds.jsonl").read_text()
        return [
            rounds.replace(str(base), "base"),
            *record.folder.rows("select completion, drop_reason from samples order by all"),
        ]


def test_a_callback_is_told_every_round_and_every_sample(tmp_path: Path) -> None:
    notes = Notes()
    _, *rows = rows_of(tmp_path / "run", notes)
    assert notes.rounds == [0, 1, 2]
    told = [(one.response.text, one.drop_reason) for one in notes.samples]
    assert sorted(told, key=str) == sorted(rows, key=str) and any(one.kept for one in notes.samples)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    return rows_of(tmp_path_factory.mktemp("whole") / "run", Notes())


@pytest.mark.parametrize("fails_in", ["round 0", "round 1", "samples 1", "samples 2"])
def test_what_it_raises_stops_a_run_that_can_be_resumed(tmp_path: Path, whole: list[object], fails_in: str) -> None:
    failing, mended = Notes(fails_in), Notes()
    with pytest.raises(RunError, match=r"Notes.on_\w+ raised KeyError: 'no such column'\n.*\n.*train\(resume=True\)"):
        rows_of(tmp_path / "run", failing)
    assert rows_of(tmp_path / "run", mended, resume=True) == whole
    # What it did not take is told again, and nothing else.
    assert failing.rounds + mended.rounds == [0, 1, 2]
    assert check_run(tmp_path / "run") == []
