"""Sections such as a room would write, for the tests of this folder. Every supported type occurs once."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from selftrain.cli.command import Command
from selftrain.config import Resolved, config_dataclass, required, setting
from selftrain.errors import SettingsError


@config_dataclass
class Model:
    model_name_or_path: tuple[str, ...] = required("the models to train", example="Qwen/Qwen2.5-0.5B-Instruct")
    dtype: Literal["float32", "bfloat16"] = setting("bfloat16", "the numbers weights are kept in", source="TRL")


BACKENDS = ["toy", "transformers"]


@config_dataclass
class Grow:
    num_generations: int = setting(32, "answers drawn for each problem", source="ReST-EM, section 4: n = 32")
    temperature: float = setting(0.7, "temperature of sampling", source="ReST-EM, section 4", ge=0, lt=2)
    top_k: int | None = setting(40, "keep the 40% or so likeliest tokens", ge=1)
    log_completions: bool = setting(False, "write every answer to the log")
    eval_k: tuple[int, ...] = setting((1, 8), "the k of pass@k", ge=1)
    run_name: str | None = setting(None, "a name for the run")
    report_to: list[str] = setting(["none"], "where to report", min_items=1)
    backend: str = setting("toy", "what generates", choices=lambda: BACKENDS)

    def check(self) -> None:
        if self.log_completions and self.run_name is None:
            raise SettingsError("log_completions is set without run_name", "the log would have no name", "add run_name")


@config_dataclass
class Run:
    output_dir: Path = setting(Path("runs/new"), "the folder of the run")
    learning_rate: float = setting(1e-5, "peak learning rate", source="TRL")


@config_dataclass
class Query:
    run: Path = required("the folder of a run", example="runs/gsm8k", positional=True)
    sql: str = setting("select * from samples", "what to ask", positional=True)
    json: bool = setting(False, "print JSON")


def handle(settings: Resolved) -> int:
    print(settings.to_dict())
    return 0


SECTIONS = {"model": Model, "grow": Grow, "run": Run}
REST_EM = Command(
    "rest-em", "Sample responses, keep the right ones, train on them.", "Train", lambda: SECTIONS, run=handle
)
SAMPLES = Command("samples", "Query the samples of a run.", "Inspect a run", lambda: {"query": Query}, run=handle)
COMMANDS = {command.name: command for command in (REST_EM, SAMPLES)}
