"""The trackers, a small class each. A new one is a class here and an extra of the package."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from selftrain.storage import TENSORBOARD


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """TrackedRun(folder=Path("runs/first"), name="first", project="selftrain", config={"num_rounds": 2}, id=None)"""

    folder: Path
    name: str
    project: str
    #: Every setting, by name.
    config: Mapping[str, Any]
    #: What `start` returned when the run began; None where it begins.
    id: str | None


@dataclass(frozen=True, kw_only=True)
class LoggedRound:
    """LoggedRound(number=2, values={"eval/greedy": 0.573, "sampling/kept": 4190}, columns=("question",), rows=[...])"""

    number: int
    values: Mapping[str, float]
    #: A table of kept samples; no rows where the round has none.
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


class Tracker(Protocol):
    def start(self, run: TrackedRun) -> str:
        """Begins a run in the tracker, or goes on with the one of `run.id`; returns its id."""
        ...

    def log(self, logged: LoggedRound) -> None: ...

    def finish(self) -> None: ...


class Tensorboard:
    """Event files in the run's own folder. It has no tables."""

    def start(self, run: TrackedRun) -> str:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(run.folder / TENSORBOARD))
        if run.id is None:
            told = "".join(f"| {name} | `{value}` |\n" for name, value in run.config.items())
            self._writer.add_text("settings", f"| setting | value |\n|---|---|\n{told}")
        return TENSORBOARD

    def log(self, logged: LoggedRound) -> None:
        for name, value in logged.values.items():
            self._writer.add_scalar(name, value, logged.number)
        self._writer.flush()

    def finish(self) -> None:
        self._writer.close()


class Trackio:
    """Local by default; its own variables name a Space. It resumes by name, so each run gets one of its own."""

    def start(self, run: TrackedRun) -> str:
        import trackio

        self._run = trackio.init(
            project=run.project, name=run.id or f"{run.name}-{secrets.token_hex(2)}", config=dict(run.config),
            resume="allow" if run.id else "never", embed=False, auto_log_gpu=False, auto_log_cpu=False,
        )  # fmt: skip
        return str(self._run.name)

    def log(self, logged: LoggedRound) -> None:
        import trackio

        table: dict[str, Any] = {}
        if logged.rows:
            table["kept"] = trackio.Table(columns=list(logged.columns), data=[list(row) for row in logged.rows])
        self._run.log({**logged.values, **table}, step=logged.number)

    def finish(self) -> None:
        import trackio

        # The run's own method would leave it to be finished again, and announced, when Python ends.
        trackio.finish()


class Wandb:
    def start(self, run: TrackedRun) -> str:
        import wandb

        resume = {"id": run.id, "resume": "allow"} if run.id else {}
        self._run = wandb.init(project=run.project, name=run.name, config=dict(run.config), **resume)
        return str(self._run.id)

    def log(self, logged: LoggedRound) -> None:
        import wandb

        table: dict[str, Any] = {}
        if logged.rows:
            table["kept"] = wandb.Table(columns=list(logged.columns), data=[list(row) for row in logged.rows])
        self._run.log({**logged.values, **table}, step=logged.number)

    def finish(self) -> None:
        self._run.finish()


class Mlflow:
    def start(self, run: TrackedRun) -> str:
        import mlflow

        mlflow.set_experiment(run.project)
        self._run = mlflow.start_run(run_id=run.id, run_name=run.name)
        if run.id is None:
            # It takes no parameter longer than this.
            mlflow.log_params({name: str(value)[:500] for name, value in run.config.items()})
        return str(self._run.info.run_id)

    def log(self, logged: LoggedRound) -> None:
        import mlflow

        mlflow.log_metrics(dict(logged.values), step=logged.number)
        if logged.rows:
            columns = {name: [row[place] for row in logged.rows] for place, name in enumerate(logged.columns)}
            mlflow.log_table(columns, f"kept-round-{logged.number:04d}.json")

    def finish(self) -> None:
        import mlflow

        mlflow.end_run()


#: By name, which is that of its package.
TRACKERS: Mapping[str, Callable[[], Tracker]] = {
    "trackio": Trackio, "tensorboard": Tensorboard, "wandb": Wandb, "mlflow": Mlflow
}  # fmt: skip
