"""Let language models improve by training on their own answers.

    import selftrain

    result = selftrain.SelfTrainer(
        method=selftrain.RestEM(num_rounds=2, num_generations=8, max_completion_length=64),
        model=selftrain.seed_model("llama"),
        train_dataset="word_problems",
        output_dir="runs/first",
    ).train()
    print(result.best, result.metrics)

Names are loaded when they are first used: importing selftrain imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selftrain.errors import DataError, GraderError, ModelError, RunError, SelftrainError, SettingsError
    from selftrain.evaluation import EvalConfig
    from selftrain.graders import open_grader
    from selftrain.loop.collapse_monitor import MonitorConfig
    from selftrain.loop.result import Result
    from selftrain.methods import PST, RestEM, SePT
    from selftrain.models.adapter import AdapterConfig
    from selftrain.models.prompts import PromptConfig
    from selftrain.models.seeds import seed_model
    from selftrain.problems import load_problems
    from selftrain.storage import RunFolder
    from selftrain.trainer import SelfTrainer
    from selftrain.training.base import TrainingConfig
    from selftrain.types import Problem, Prompt, Response, Sample, SamplingParams, Score

_HOME = {
    "AdapterConfig": "models.adapter",
    "DataError": "errors",
    "GraderError": "errors",
    "ModelError": "errors",
    "RunError": "errors",
    "SelftrainError": "errors",
    "SettingsError": "errors",
    "EvalConfig": "evaluation",
    "open_grader": "graders",
    "TrainingConfig": "training.base",
    "PST": "methods",
    "RestEM": "methods",
    "SePT": "methods",
    "load_problems": "problems",
    "PromptConfig": "models.prompts",
    "RunFolder": "storage",
    "seed_model": "models.seeds",
    "Result": "loop.result",
    "SelfTrainer": "trainer",
    "Problem": "types",
    "Prompt": "types",
    "Response": "types",
    "Sample": "types",
    "SamplingParams": "types",
    "Score": "types",
    "MonitorConfig": "loop.collapse_monitor",
}

__version__ = "0.1.0"
__all__ = [
    "AdapterConfig",
    "DataError",
    "EvalConfig",
    "GraderError",
    "TrainingConfig",
    "ModelError",
    "PST",
    "Problem",
    "Prompt",
    "PromptConfig",
    "Response",
    "RestEM",
    "Result",
    "RunError",
    "RunFolder",
    "Sample",
    "SamplingParams",
    "Score",
    "SePT",
    "SelfTrainer",
    "SelftrainError",
    "SettingsError",
    "MonitorConfig",
    "load_problems",
    "open_grader",
    "seed_model",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'selftrain' has no attribute {name!r}")
    return getattr(importlib.import_module(f"selftrain.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
