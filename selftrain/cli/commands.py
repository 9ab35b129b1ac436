"""The commands: their names, settings and handlers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selftrain.cli.sections import (
    AuditConfig,
    CheckConfig,
    DataConfig,
    DemoConfig,
    EnvConfig,
    EvalCommandConfig,
    ForkConfig,
    GradeConfig,
    ModelConfig,
    PeerModelsConfig,
    ResumeConfig,
    RewardConfig,
    RunConfig,
    SamplesConfig,
    SandboxConfig,
    SizeConfig,
)
from selftrain.config import Command
from selftrain.engines.config import EngineConfig
from selftrain.engines.ray.config import RayConfig
from selftrain.engines.registry import engine_sections
from selftrain.errors import RunError
from selftrain.evaluation import EvalConfig
from selftrain.graders.code.config import CodeConfig
from selftrain.loop.collapse_monitor import MonitorConfig
from selftrain.loop.stopping import BudgetConfig
from selftrain.methods import METHODS, PROFILES
from selftrain.models.adapter import AdapterConfig
from selftrain.models.prompts import PromptConfig
from selftrain.sizing import Assumptions

COMMANDS = (
    Command(
        "demo",
        "a small model teaches itself, offline, in minutes",
        {"demo": DemoConfig, "budget": BudgetConfig, "ray": RayConfig},
        "selftrain.cli.demo:run",
    ),
    *(
        Command(
            name,
            method.summary,
            {
                "run": RunConfig,
                "model": PeerModelsConfig if method.needs_peers else ModelConfig,
                "data": DataConfig,
                "engine_config": EngineConfig,
                **engine_sections(),
                "adapter": AdapterConfig,
                "ray": RayConfig,
                **({"reward": RewardConfig} if method.needs_grader else {}),
                "code": CodeConfig,
                "budget": BudgetConfig,
                "prompts": PromptConfig,
                "method": method,
                "training": type(method.training),
                "evaluation": type(method.evaluation),
                "monitor": MonitorConfig,
            },
            "selftrain.cli.run_commands:run_method",
            PROFILES[name],
        )
        for name, method in METHODS.items()
    ),
    Command(
        "eval",
        "measure a model, and compare it with another on the same problems",
        {
            "eval": EvalCommandConfig,
            "model": ModelConfig,
            "data": DataConfig,
            "reward": RewardConfig,
            "engine_config": EngineConfig,
            **engine_sections(),
            "ray": RayConfig,
            "code": CodeConfig,
            "prompts": PromptConfig,
            "evaluation": EvalConfig,
        },
        "selftrain.cli.run_commands:run_eval",
    ),
    Command(
        "resume", "go on with a run that was stopped or killed", {"resume": ResumeConfig}, "selftrain.cli.resume:run"
    ),
    Command(
        "fork",
        "go on from a round of a run with other settings, as another run",
        {"fork": ForkConfig},
        "selftrain.cli.fork:run",
    ),
    Command(
        "size",
        "what a run would cost: tokens, GPU-hours, disk, network",
        {"size": SizeConfig, "assumptions": Assumptions},
        "selftrain.cli.size:run",
    ),
    Command(
        "check",
        "whether a run's files are what they were, and what can be mended",
        {"check": CheckConfig},
        "selftrain.cli.resume:run_check",
    ),
    Command(
        "samples", "ask a run's samples in SQL", {"samples": SamplesConfig}, "selftrain.cli.run_commands:run_samples"
    ),
    Command(
        "grade",
        "judge answers in a file of JSON lines",
        {"grade": GradeConfig, "code": CodeConfig},
        "selftrain.cli.grade:run",
    ),
    Command(
        "sandbox",
        "whether model-written code can be run here, and what would mend it",
        {"sandbox": SandboxConfig},
        "selftrain.cli.run_commands:run_sandbox",
    ),
    Command(
        "audit", "how often checkers disagree on a run's answers", {"audit": AuditConfig}, "selftrain.cli.audit:run"
    ),
    Command("env", "print what a bug report needs", {"env": EnvConfig}, "selftrain.cli.run_commands:run_env"),
)


def command_of(facts: Mapping[str, Any], run: str) -> Command:
    """The command that began a run, by the facts it was created with; one that can be gone on with has a budget.

    Raises:
        RunError: none did.
    """
    found = next((one for one in COMMANDS if one.name == facts["command"] and "budget" in one.sections), None)
    if found is None:
        raise RunError(
            f"{run} was begun by no command that can be gone on with",
            "an evaluation is asked again as a whole; of a run begun in Python only its program knows model and data",
            "begin an evaluation again; in Python: SelfTrainer(...).train(resume=True), with everything as it was",
        )
    return found
