"""`selftrain size`: what a run will cost, from its settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from selftrain.cli.commands import COMMANDS
from selftrain.cli.resume import as_flags
from selftrain.cli.sections import DataConfig, LoadingConfig, RewardConfig, SizeConfig
from selftrain.config import Command, Resolved, parse, settings_of
from selftrain.engines.config import EngineConfig
from selftrain.errors import SettingsError
from selftrain.evaluation import EvalConfig
from selftrain.graders import is_ablation
from selftrain.loop.collapse_monitor import MonitorConfig
from selftrain.methods import METHODS
from selftrain.models.prompts import PromptConfig
from selftrain.sizing import Assumptions, Plan, size
from selftrain.sizing.table import as_data, told
from selftrain.training.base import TrainingConfig


def run(settings: Resolved) -> int:
    asked, given = settings[SizeConfig], settings[Assumptions]
    plan = plan_of(asked, run_settings(asked.method, asked.recipe, asked.set))
    cost = size(plan, params_of(asked, plan), asked.gpus, given)
    if asked.json:
        print(json.dumps(as_data(cost)))
        return 0
    print(*told(cost), "", *cautions(plan, asked), sep="\n")
    return 0


def cautions(plan: Plan, asked: SizeConfig) -> list[str]:
    """What to know of these figures."""
    lines = [
        "Shares of a GPU's peak are assumed; answers' lengths decide most: a run of one round on few problems tells."
    ]
    if asked.gpus > 1:
        lines.append("A run of today uses one GPU: this is what its work would cost if it were spread out.")
    if not plan.bf16:
        lines.append("The run computes in float32: --set bf16=true.")
    return lines


def params_of(asked: SizeConfig, plan: Plan) -> tuple[float, ...]:
    """
    Raises:
        SettingsError: there are neither one number nor as many as models.
    """
    if len(asked.params) not in (1, len(plan.models)):
        raise SettingsError(
            f"params has {len(asked.params)} numbers", f"{len(plan.models)} models learn", "give one, or one of each"
        )
    return asked.params if len(asked.params) > 1 else asked.params * len(plan.models)


def run_settings(method: str, recipe: str | None, changes: Sequence[str]) -> Resolved:
    """The settings of the run that is to be sized; what it needs and the cost does not hang on is filled in.

    Raises:
        SettingsError: there is no such method or setting.
    """
    if method not in METHODS:
        raise SettingsError(f"there is no method {method!r}", do=f"choose among {', '.join(METHODS)}")
    command = next(one for one in COMMANDS if one.name == method)
    words = [*(["--config", recipe] if recipe else []), *as_flags(changes, lambda name: None)]
    return parse(command, [*_filled_in(command, recipe, changes), *words], "selftrain")


def _filled_in(command: Command, recipe: str | None, changes: Sequence[str]) -> list[str]:
    """Flags for required settings that nobody gave. A file that cannot be read is left to `parse` to speak of."""
    try:
        text = Path(recipe).read_text("utf-8") if recipe else ""
        found = yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError):
        found = None
    known = {*(found if isinstance(found, dict) else ()), *(change.partition("=")[0] for change in changes)}
    required = (one for section in command.sections.values() for one in settings_of(section) if one.required)
    return [word for one in required if one.name not in known for word in (f"--{one.name}", *one.example.split())]


def plan_of(asked: SizeConfig, settings: Resolved) -> Plan:
    """
    Raises:
        SettingsError: D_val would leave nothing to learn from.
    """
    method: Any = next(one for one in settings.sections.values() if type(one) in METHODS.values())
    data, training, monitor = settings[DataConfig], settings[TrainingConfig], settings[MonitorConfig]
    rewards = settings[RewardConfig].reward_funcs if method.needs_grader else ()
    control = any(is_ablation(name) for name in rewards)
    problems = min(asked.problems, data.max_train_samples or asked.problems) - settings[PromptConfig].num_fewshot
    held_out = training.validation_size
    validation = max(held_out > 0, round(problems * held_out)) if held_out < 1 else int(held_out)
    if validation >= problems:
        raise SettingsError(
            f"validation_size is {held_out:g} of {problems} problems", "nothing would be left to learn from",
            "give more --problems, or --set validation_size=0.1",
        )  # fmt: skip
    models = settings[LoadingConfig].all
    return Plan(
        method=method, training=training, evaluation=settings[EvalConfig], monitor=monitor,
        models=tuple(f"{number} {name}" for number, name in enumerate(models)),
        train=problems - validation, validation=validation,
        examined=min(asked.eval_problems, data.max_eval_samples or asked.eval_problems),
        labelled=monitor.probe_labels or (method.needs_grader and not control),
        # Controls compare answers with one another, all but the one that pays for every answer.
        scores_independently=not control or all(name == "always_one" for name in rewards),
        num_fewshot=settings[PromptConfig].num_fewshot, bf16=settings[EngineConfig].bf16,
        rows=settings[EngineConfig].sampling_batch_size,
    )  # fmt: skip
