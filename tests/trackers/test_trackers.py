"""What trackers hold of a run that was stopped and resumed, read back by their own means."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from selftrain.cli.main import run_cli
from selftrain.errors import SettingsError
from selftrain.evaluation import EvalConfig
from selftrain.loop.run_to_end import run_to_end
from selftrain.loop.stopping import BudgetConfig, StopController, StoppedError
from selftrain.methods import RestEM
from selftrain.report.round_record import RoundRecord, read_rounds
from selftrain.storage import Record, check_run
from selftrain.trackers import config as tracker_config
from selftrain.trackers.config import TrackerConfig
from selftrain.trackers.kinds import TRACKERS, LoggedRound, TrackedRun
from selftrain.trackers.observer import ROWS, Trackers, open_trackers, values_of
from tests.report.runs import SEVERAL
from tests.toys.model import ToyModel
from tests.toys.runs import grade, graders_of, toy, toy_run


def two_rounds(folder: Path, observe: Callable[[Record], Any]) -> Record:
    """A run that is stopped after its first round, and resumed; `observe` opens the trackers of each part."""
    base = folder.parent / "base"
    ToyModel().save(base)

    def part(record: Record, **budget: int) -> None:
        with record, observe(record) as trackers:
            run = toy_run(
                folder.parent / f"unused-{len(budget)}", RestEM(num_rounds=2, num_generations=4),
                [toy(base=str(base))], record=record,
                stops=StopController(BudgetConfig(**budget), ""), evaluation=EvalConfig(num_generations_eval=2),
                graders=graders_of(grade, grade, grade, labelled=True),
            )  # fmt: skip
            run_to_end(run, {"toy": str(base)}, [trackers])

    record = Record.create(folder, {"settings": {"num_rounds": 2, "stop_strings": ["\n"]}})
    record.describe({"environment.json": "{}", "settings.yaml": "num_rounds: 2\n"})
    with pytest.raises(StoppedError):
        part(record, max_rounds=1)
    part(Record.resume(folder))
    return record


def reporting_to(*names: str) -> Callable[[Record], Any]:
    return lambda record: open_trackers(TrackerConfig(report_to=names), record, pytest.fail)


class Notebook:
    """A tracker of a list."""

    def __init__(self, fails_in: int | None = None) -> None:
        self.starts: list[str | None] = []
        self.logged: list[LoggedRound] = []
        self.fails_in = fails_in

    def start(self, run: TrackedRun) -> str:
        self.starts.append(run.id)
        return "its own name"

    def log(self, logged: LoggedRound) -> None:
        if logged.number == self.fails_in:
            raise ConnectionError("no network")
        self.logged.append(logged)

    def finish(self) -> None: ...


def test_each_round_is_told_once_and_a_resumed_run_goes_on_in_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = Notebook()
    monkeypatch.setattr("selftrain.trackers.observer.TRACKERS", {"trackio": lambda: book})
    record = two_rounds(tmp_path / "run", reporting_to("trackio"))
    assert book.starts == [None, "its own name"]
    assert [logged.number for logged in book.logged] == [0, 1, 2] and not check_run(record.folder.path)
    first, second, last = book.logged
    rounds = read_rounds(record.folder)
    assert last.values["eval/greedy"] == rounds[2].metrics["greedy"].value and not first.rows
    assert second.values["sampling/kept"] == rounds[1].sampling.kept and "gain/pass_at_1" in last.values
    kept = record.folder.rows(f"select completion, reward from samples where kept and round = 1 limit {ROWS}")
    assert len(second.rows) == len(kept) and set(zip(second.columns, second.rows[0], strict=True)) >= {("reward", 1.0)}
    # One that is asked for when all is done is told all of it.
    late = Notebook()
    monkeypatch.setattr("selftrain.trackers.observer.TRACKERS", {"mlflow": lambda: late})
    with Record.resume(tmp_path / "run") as again, reporting_to("mlflow")(again):
        pass
    assert [logged.number for logged in late.logged] == [0, 1, 2]


def test_a_tracker_that_fails_costs_a_message(tmp_path: Path) -> None:
    book, whole, said = Notebook(fails_in=1), Notebook(), list[str]()

    class Opened(Trackers):
        def __enter__(self) -> Trackers:
            self.start(TrackerConfig())
            return self

        def __exit__(self, *_: object) -> None:
            self.finish()

    record = two_rounds(tmp_path / "run", lambda record: Opened(record, {"a": book, "b": whole}, said.append))
    assert [logged.number for logged in book.logged] == [0, 2] and [logged.number for logged in whole.logged] == [
        0,
        1,
        2,
    ]
    (message,) = said
    assert "a is told no more: ConnectionError: no network; the run goes on" in message
    assert [one.round for one in read_rounds(record.folder)] == [0, 1, 2]


def test_several_models_have_names_of_their_own() -> None:
    last = [record for record in SEVERAL if record.round == 2]
    values = values_of(last)
    assert values["llama/eval/pass_at_1"] == pytest.approx(0.512) and values["qwen/train/loss_last"] == 0.42
    assert values_of(last[:1])["sampling/kept"] == 4190
    assert values_of([RoundRecord(round=3, model="llama")]) == {"alarms": 0}


def test_a_tracker_that_is_not_installed_is_said_before_anything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tracker_config, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"pip install 'selftrain\[wandb\]'"):
        TrackerConfig(report_to=("none", "wandb")).require_packages()
    TrackerConfig(report_to=("none",)).require_packages()
    assert run_cli(["rest-em", "--report_to", "neptune"]) == 64
    assert "none|trackio|tensorboard|wandb|mlflow" in capsys.readouterr().err
    assert TrackerConfig().names == () and {*TRACKERS} == {"trackio", "tensorboard", "wandb", "mlflow"}


def missing(name: str) -> pytest.MarkDecorator:
    import importlib.util

    found = importlib.util.find_spec(name) is not None
    return pytest.mark.skipif(not found, reason=f"{name} is not installed: pip install 'selftrain[{name}]'")


@missing("tensorboard")
def test_tensorboard_reads_every_round_once(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    record = two_rounds(tmp_path / "run", reporting_to("tensorboard"))
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    greedy = [(event.step, event.value) for event in events.Scalars("eval/greedy")]
    assert greedy == [(one.round, pytest.approx(one.metrics["greedy"].value)) for one in read_rounds(record.folder)]
    assert [event.step for event in events.Scalars("train/loss_last")] == [1, 2]
    assert not check_run(tmp_path / "run")


@missing("trackio")
def test_trackio_holds_every_round_once_with_kept_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from trackio.sqlite_storage import SQLiteStorage

    for module in ("sqlite_storage", "utils", "media.utils"):
        monkeypatch.setattr(f"trackio.{module}.TRACKIO_DIR", tmp_path / "trackio", raising=False)
    record = two_rounds(tmp_path / "run", reporting_to("trackio"))
    (name,) = SQLiteStorage.get_runs("selftrain")
    logs = SQLiteStorage.get_logs("selftrain", name)
    assert name.startswith("run-") and Counter(log["step"] for log in logs) == {0: 1, 1: 1, 2: 1}
    rounds = read_rounds(record.folder)
    assert logs[2]["eval/greedy"] == rounds[2].metrics["greedy"].value
    kept = logs[1]["kept"]["_value"]
    assert len(kept) == min(ROWS, rounds[1].sampling.kept) and kept[0]["reward"] == 1.0
    assert capsys.readouterr().out == ""


@missing("mlflow")
def test_mlflow_holds_every_round_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.setattr("selftrain.trackers.observer.ROWS", 5)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "mlflow").as_uri())
    record = two_rounds(tmp_path / "run", reporting_to("mlflow"))
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("selftrain")
    (run,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, "eval/pass_at_1")
    expected = [(one.round, one.metrics["pass@1"].value) for one in read_rounds(record.folder)]
    assert sorted((metric.step, metric.value) for metric in history) == expected
    assert run.data.params["num_rounds"] == "2"


def records_in(data: bytes) -> Iterator[bytes]:
    """The records of a file of wandb: seven bytes, then blocks of a LevelDB log."""
    place, whole = 7, b""
    while place + 7 <= len(data):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield whole
            whole = b""


@missing("wandb")
def test_wandb_is_told_every_round_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network, into its own files."""
    from wandb.proto.wandb_internal_pb2 import Record as Told

    for name, value in {"MODE": "offline", "DIR": str(tmp_path), "SILENT": "true"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    two_rounds(tmp_path / "run", reporting_to("wandb"))
    files = [*tmp_path.glob("wandb/offline-run-*/*.wandb")]
    told = [Told.FromString(data) for file in files for data in records_in(file.read_bytes())]
    steps = Counter(one.history.step.num for one in told if one.HasField("history"))
    ids = {one.run.run_id for one in told if one.HasField("run")}
    assert steps == {0: 1, 1: 1, 2: 1} and len(ids) == 1
