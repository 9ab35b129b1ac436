"""The work of `selftrain plan` for hardware that is not here."""

from __future__ import annotations

from collections.abc import Sequence

from selftrain.cli.shared import DatasetConfig, RewardConfig
from selftrain.config import Resolved
from selftrain.engines.config import EngineConfig
from selftrain.errors import SettingsError
from selftrain.evaluation import EvalConfig
from selftrain.graders import is_ablation
from selftrain.loop.collapse_monitor import MonitorConfig
from selftrain.loop.plan import RunShape
from selftrain.loop.run_config import LoadingConfig
from selftrain.methods.base import Method
from selftrain.models.adapter import AdapterConfig
from selftrain.models.prompts import PromptConfig
from selftrain.training.base import TrainingConfig


def shape_of(settings: Resolved, *, problems: int, eval_problems: int) -> RunShape:
    """
    Args:
        problems, eval_problems: as many as the data has.

    Raises:
        SettingsError: the validation problems would leave nothing to train on.
    """
    method: Method = settings.sections["method"]
    data, training, monitor = settings[DatasetConfig], settings[TrainingConfig], settings[MonitorConfig]
    rewards = settings[RewardConfig].reward_funcs if method.needs_grader else ()
    ablation = any(is_ablation(name) for name in rewards)
    # Which models are shown examples by default is known when their tokenizers are.
    shown = settings[PromptConfig].num_fewshot
    num_fewshot = 0 if shown == "auto" else shown
    available = min(problems, data.max_train_samples or problems) - num_fewshot
    share = training.validation_of(available)
    validation = max(share > 0, round(available * share)) if share < 1 else int(share)
    if validation >= available:
        raise SettingsError(
            f"validation_size is {share:g} of {available} problems",
            "no problem would be left to train on",
            "give more --problems, or a smaller --validation_size",
        )
    return RunShape(
        method=method,
        training=training,
        evaluation=settings[EvalConfig],
        monitor=monitor,
        models=tuple(f"model {number}" for number, _ in enumerate(settings[LoadingConfig].names, 1)),
        train_problems=available - validation,
        validation_problems=validation,
        eval_problems=min(eval_problems, data.max_eval_samples or eval_problems),
        labelled=monitor.probe_labels or (method.needs_grader and not ablation),
        # Ablations compare responses with one another, all but the one that rewards every response.
        scores_independently=not ablation or all(name == "always_one" for name in rewards),
        num_fewshot=num_fewshot,
        bf16=settings[EngineConfig].bf16,
        offload=settings[EngineConfig].fsdp_cpu_offload,
        batch_size=settings[EngineConfig].sampling_batch_size,
        adapter=settings[AdapterConfig],
    )


def params_of(given: Sequence[float], shape: RunShape) -> tuple[float, ...]:
    """Weights of each model of the shape.

    Raises:
        SettingsError: there are neither one number nor as many as models.
    """
    models = len(shape.models)
    if len(given) not in (1, models):
        raise SettingsError(
            f"params has {len(given)} numbers", f"{models} models learn", "give one number, or one per model"
        )
    return tuple(given) if len(given) > 1 else tuple(given) * models


def notes(shape: RunShape, gpus: int) -> list[str]:
    """How to read these figures."""
    lines = [
        "Shares of a GPU's peak are assumed. Response lengths matter most: measure completion_tokens in a run of one "
        "round on a few problems."
    ]
    if gpus > 1:
        lines.append(
            "Several GPUs sample with --ray, each with a whole model, and train with --training_processes, over which "
            "weights are sharded. That was never measured."
        )
    if not shape.bf16:
        lines.append("The run computes in float32: --bf16.")
    return lines
