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
    from selftrain.config import config_dataclass as config_dataclass
    from selftrain.config import setting as setting
    from selftrain.engines.config import EngineConfig as EngineConfig
    from selftrain.engines.ray.config import RayConfig as RayConfig
    from selftrain.engines.server.config import ServerConfig as ServerConfig
    from selftrain.engines.vllm.config import VllmConfig as VllmConfig
    from selftrain.errors import DataError as DataError
    from selftrain.errors import GraderError as GraderError
    from selftrain.errors import ModelError as ModelError
    from selftrain.errors import RunError as RunError
    from selftrain.errors import SelftrainError as SelftrainError
    from selftrain.errors import SettingsError as SettingsError
    from selftrain.evaluation import EvalConfig as EvalConfig
    from selftrain.graders import open_grader as open_grader
    from selftrain.graders.code.config import CodeConfig as CodeConfig
    from selftrain.handover.config import HubConfig as HubConfig
    from selftrain.loop.callbacks import Callback as Callback
    from selftrain.loop.collapse_monitor import MonitorConfig as MonitorConfig
    from selftrain.loop.progress import Progress as Progress
    from selftrain.loop.result import Result as Result
    from selftrain.loop.stopping import BudgetConfig as BudgetConfig
    from selftrain.loop.stopping import StoppedError as StoppedError
    from selftrain.methods import PST as PST
    from selftrain.methods import RestEM as RestEM
    from selftrain.methods import SePT as SePT
    from selftrain.methods.pst import PSTEvalConfig as PSTEvalConfig
    from selftrain.methods.pst import PSTTrainingConfig as PSTTrainingConfig
    from selftrain.methods.sept import SePTEvalConfig as SePTEvalConfig
    from selftrain.methods.sept import SePTTrainingConfig as SePTTrainingConfig
    from selftrain.models.adapter import AdapterConfig as AdapterConfig
    from selftrain.models.prompts import PromptConfig as PromptConfig
    from selftrain.models.seeds import seed_model as seed_model
    from selftrain.problems import load_problems as load_problems
    from selftrain.problems.config import DataConfig as DataConfig
    from selftrain.report.round_record import RoundRecord as RoundRecord
    from selftrain.storage import RunFolder as RunFolder
    from selftrain.trackers.config import TrackerConfig as TrackerConfig
    from selftrain.trainer import SelfTrainer as SelfTrainer
    from selftrain.training.base import TrainingConfig as TrainingConfig
    from selftrain.types import Problem as Problem
    from selftrain.types import Prompt as Prompt
    from selftrain.types import Response as Response
    from selftrain.types import Sample as Sample
    from selftrain.types import SamplingParams as SamplingParams
    from selftrain.types import Score as Score

#: Every public name and the module it is loaded from.
_EXPORTS = {
    "AdapterConfig": "models.adapter",
    "BudgetConfig": "loop.stopping",
    "Callback": "loop.callbacks",
    "CodeConfig": "graders.code.config",
    "DataConfig": "problems.config",
    "DataError": "errors",
    "EngineConfig": "engines.config",
    "EvalConfig": "evaluation",
    "GraderError": "errors",
    "HubConfig": "handover.config",
    "ModelError": "errors",
    "MonitorConfig": "loop.collapse_monitor",
    "PST": "methods",
    "PSTEvalConfig": "methods.pst",
    "PSTTrainingConfig": "methods.pst",
    "Problem": "types",
    "Progress": "loop.progress",
    "Prompt": "types",
    "PromptConfig": "models.prompts",
    "RayConfig": "engines.ray.config",
    "Response": "types",
    "RestEM": "methods",
    "Result": "loop.result",
    "RoundRecord": "report.round_record",
    "RunError": "errors",
    "RunFolder": "storage",
    "Sample": "types",
    "SamplingParams": "types",
    "Score": "types",
    "SePT": "methods",
    "SePTEvalConfig": "methods.sept",
    "SePTTrainingConfig": "methods.sept",
    "SelfTrainer": "trainer",
    "SelftrainError": "errors",
    "ServerConfig": "engines.server.config",
    "SettingsError": "errors",
    "StoppedError": "loop.stopping",
    "TrackerConfig": "trackers.config",
    "TrainingConfig": "training.base",
    "VllmConfig": "engines.vllm.config",
    "config_dataclass": "config",
    "load_problems": "problems",
    "open_grader": "graders",
    "seed_model": "models.seeds",
    "setting": "config",
}

__version__ = "0.1.0"
__all__ = [*_EXPORTS]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'selftrain' has no attribute {name!r}")
    return getattr(importlib.import_module(f"selftrain.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
