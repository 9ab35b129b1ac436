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
    from selftrain.adapter import Adapter
    from selftrain.errors import DataError, JudgeError, ModelError, RunError, SelftrainError, SettingsError
    from selftrain.evaluation import Evaluation
    from selftrain.grading import open_judge
    from selftrain.learning.base import Learning
    from selftrain.methods import PST, RestEM, SePT
    from selftrain.problems import load_problems
    from selftrain.prompts import Prompting
    from selftrain.record import RunFolder
    from selftrain.result import Result
    from selftrain.seeds import seed_model
    from selftrain.selftrainer import SelfTrainer
    from selftrain.types import Problem, Prompt, Response, Sample, Sampling, Score
    from selftrain.watch import Watch

_HOME = {
    "Adapter": "adapter", "DataError": "errors", "JudgeError": "errors", "ModelError": "errors", "RunError": "errors",
    "SelftrainError": "errors", "SettingsError": "errors", "Evaluation": "evaluation", "open_judge": "grading",
    "Learning": "learning.base", "PST": "methods", "RestEM": "methods", "SePT": "methods",
    "load_problems": "problems", "Prompting": "prompts",
    "RunFolder": "record", "seed_model": "seeds", "Result": "result", "SelfTrainer": "selftrainer",
    "Problem": "types", "Prompt": "types", "Response": "types", "Sample": "types", "Sampling": "types",
    "Score": "types", "Watch": "watch",
}  # fmt: skip

__version__ = "0.1.0"
__all__ = [
    "Adapter", "DataError", "Evaluation", "JudgeError", "Learning", "ModelError", "PST", "Problem", "Prompt",
    "Prompting", "Response", "RestEM", "Result", "RunError", "RunFolder", "Sample", "Sampling", "Score", "SePT",
    "SelfTrainer", "SelftrainError", "SettingsError", "Watch", "load_problems", "open_judge", "seed_model",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'selftrain' has no attribute {name!r}")
    return getattr(importlib.import_module(f"selftrain.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
