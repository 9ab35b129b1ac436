"""`selftrain rest-em`, `selftrain sept`, ...: a run of each registered method."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from selftrain.cli.command import command
from selftrain.config import Resolved, Sections
from selftrain.methods import all_methods

if TYPE_CHECKING:
    from selftrain.loop.result import Result
    from selftrain.methods.base import Method
    from selftrain.trainer import SelfTrainer


def run_sections(method: type[Method]) -> Sections:
    """The sections of a run: those of `SelfTrainer`, with what the command line says instead of Python objects."""
    from selftrain.cli.shared import DatasetConfig, RewardConfig, RunCommandConfig
    from selftrain.config import section_types
    from selftrain.engines.registry import engine_sections
    from selftrain.loop.run_config import ModelConfig, PeerModelsConfig
    from selftrain.trainer import SelfTrainer

    return {
        "run": RunCommandConfig,
        "model": PeerModelsConfig if method.needs_peers else ModelConfig,
        **({"reward": RewardConfig} if method.needs_grader else {}),
        "method": method,
        **section_types(SelfTrainer),
        **engine_sections(),
        "data": DatasetConfig,
        "training": type(method.training),
        "evaluation": type(method.evaluation),
    }


def run(settings: Resolved, resume: bool = False) -> int:
    from selftrain.cli.shared import RunCommandConfig

    return train_and_print(lambda: trainer_of(settings).train(resume), settings[RunCommandConfig].json)


def trainer_of(settings: Resolved, **fields: Any) -> SelfTrainer:
    """
    Args:
        fields: further ones of `SelfTrainer`.
    """
    from selftrain.cli.shared import DatasetConfig, RewardConfig, RunCommandConfig
    from selftrain.config import section_types
    from selftrain.engines.registry import engine_sections
    from selftrain.loop.run_config import LoadingConfig
    from selftrain.trainer import SelfTrainer

    config, data, models = settings[RunCommandConfig], settings[DatasetConfig], settings[LoadingConfig]
    reward = settings[RewardConfig] if "reward" in settings.sections else RewardConfig()
    method: Method = settings.sections["method"]
    own = section_types(SelfTrainer)
    return SelfTrainer(
        method=method,
        model=models.names,
        model_revision=models.model_revision,
        train_dataset=data.dataset_name,
        eval_dataset=data.eval_dataset_name,
        reward_funcs=reward.reward_funcs or None,
        reward_weights=reward.reward_weights,
        output_dir=config.output_dir,
        seed=config.seed,
        settings=settings,
        command=method.name,
        engine_sections={name: settings.sections[name] for name in engine_sections() if name not in own},
        **{name: settings.sections[name] for name in own},
        **fields,
    )


def train_and_print(train: Callable[[], Result], as_json: bool) -> int:
    from selftrain.cli.output import others_on_stderr
    from selftrain.report import run_report, summary
    from selftrain.storage import RunFolder

    with others_on_stderr(as_json):
        result = train()
    if as_json:
        named: dict[str, Any] = {"output_dir": str(result.output_dir), "best": str(result.best)}
        print(summary.as_json(result.history, **named, best_round=result.best_round))
    else:
        run_report.print_report(RunFolder(result.output_dir), result.history)
    return 0


def _examples(method: type[Method]) -> list[str]:
    models = "--models google/gemma-2-2b Qwen/Qwen2.5-1.5B" if method.needs_peers else "--model_name_or_path ./my-model"
    start = f"selftrain {method.name} {models}"
    return [
        f"{start} --dataset_name gsm8k --output_dir runs/first",
        f"{start} --dataset_name mine.csv --answer_column label --use_peft --output_dir runs/mine",
        f"{start} --dataset_name gsm8k --output_dir runs/first --engine vllm --print_config",
    ]


for _method in all_methods().values():
    command(
        _method.name,
        _method.summary,
        "Train",
        partial(run_sections, _method),
        profiles=_method.profiles,
        resumable=True,
        examples=_examples(_method),
    )(run)
