"""What the commands do. Imported when one is called, so that `selftrain --help` stays light."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from selftrain.data import load_data
from selftrain.evaluation import Evaluation
from selftrain.learning.base import Learning
from selftrain.methods import METHODS
from selftrain.prompts import Prompting
from selftrain.record import RunFolder, environment
from selftrain.report import print_report, visible
from selftrain.sections import (
    DataSettings,
    EnvSettings,
    EvalSettings,
    JudgeSettings,
    ModelSettings,
    RunSettings,
    SamplesSettings,
)
from selftrain.selftrainer import Result, SelfTrainer
from selftrain.settings import Resolved


def run_method(settings: Resolved) -> int:
    """`selftrain rest-em` and every other method."""
    data, model, run = settings[DataSettings], settings[ModelSettings], settings[RunSettings]
    judge = settings[JudgeSettings]
    train, evaluation = load_data(
        data.dataset_name, data.eval_dataset_name, data.max_train_samples, data.max_eval_samples, data.allow_overlap,
        run.seed, train_split=data.dataset_train_split, test_split=data.dataset_test_split, **_reading(data),
    )  # fmt: skip
    trainer = SelfTrainer(
        method=next(section for section in settings.sections.values() if type(section) in METHODS.values()),
        model=model.model_name_or_path, model_revision=model.model_revision, device=model.device, bf16=model.bf16,
        sampling_batch_size=model.sampling_batch_size, train_dataset=train, eval_dataset=evaluation,
        allow_overlap=data.allow_overlap, reward_funcs=judge.reward_funcs or None, reward_weights=judge.reward_weights,
        learning=settings[Learning], evaluation=settings[Evaluation], prompting=settings[Prompting],
        output_dir=run.output_dir, seed=run.seed, settings_yaml=settings.to_yaml(),
    )  # fmt: skip
    return finish(trainer.train(), run.json)


def _reading(data: DataSettings) -> dict[str, Any]:
    names = ("dataset_config", "question_column", "answer_column", "id_column")
    return {name: getattr(data, name) for name in names}


def finish(result: Result, as_json: bool) -> int:
    """Tells what a run came to."""
    if as_json:
        facts = {"output_dir": str(result.output_dir), "best": str(result.best), "best_round": result.best_round}
        print(json.dumps(facts | {"rounds": result.rounds}, ensure_ascii=False))
    else:
        print_report(RunFolder(result.output_dir))
    return 0


def run_samples(settings: Resolved) -> int:
    asked = settings[SamplesSettings]
    found = RunFolder.open(asked.run).query(asked.sql)
    names = found.columns
    if asked.json:
        while row := found.fetchone():
            print(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, default=str))
        return 0
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*names)
    while row := found.fetchone():
        # Text, not markup: what a model wrote must not style or steer the terminal.
        table.add_row(*(Text(visible(str(value))) for value in row))
    Console().print(table)
    return 0


def run_env(settings: Resolved) -> int:
    facts = environment()
    if settings[EnvSettings].json:
        print(json.dumps(facts))
        return 0
    for name, value in facts.items():
        print(f"{name}: {', '.join(f'{k} {v}' for k, v in value.items()) if isinstance(value, dict) else value}")
    return 0
