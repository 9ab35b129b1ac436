"""The commands: their names, settings and handlers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selftrain.adapter import Adapter
from selftrain.budget import Budget
from selftrain.cluster.settings import Cluster
from selftrain.code_tasks import CodeJudging
from selftrain.errors import RunError
from selftrain.evaluation import Evaluation
from selftrain.machinery import MACHINERY
from selftrain.methods import METHODS, PROFILES
from selftrain.prompts import Prompting
from selftrain.sections import (
    AuditSettings,
    CheckSettings,
    DataSettings,
    DemoSettings,
    EnvSettings,
    EvalSettings,
    ForkSettings,
    GradeSettings,
    JudgeSettings,
    ModelSettings,
    PeerSettings,
    ResumeSettings,
    RunSettings,
    SamplesSettings,
    SandboxSettings,
)
from selftrain.settings import Command
from selftrain.sizing import Assumptions, SizeSettings
from selftrain.watch import Watch

COMMANDS = (
    Command("demo", "a small model teaches itself, offline, in minutes",
            {"demo": DemoSettings, "budget": Budget, "cluster": Cluster}, "selftrain.demo:run"),
    *(
        Command(
            name,
            method.summary,
            {"run": RunSettings, "model": PeerSettings if method.needs_peers else ModelSettings, "data": DataSettings,
             **MACHINERY, "adapter": Adapter, "cluster": Cluster,
             **({"judge": JudgeSettings} if method.needs_judge else {}),
             "code": CodeJudging, "budget": Budget, "prompting": Prompting, "method": method,
             "learning": type(method.learning), "evaluation": type(method.evaluation), "watch": Watch},
            "selftrain.commands:run_method",
            PROFILES[name],
        )
        for name, method in METHODS.items()
    ),
    Command(
        "eval",
        "measure a model, and compare it with another on the same problems",
        {"eval": EvalSettings, "model": ModelSettings, "data": DataSettings, "judge": JudgeSettings,
         **MACHINERY, "cluster": Cluster, "code": CodeJudging, "prompting": Prompting,
         "evaluation": Evaluation},
        "selftrain.commands:run_eval",
    ),
    Command("resume", "go on with a run that was stopped or killed", {"resume": ResumeSettings},
            "selftrain.resume:run"),
    Command("fork", "go on from a round of a run with other settings, as another run", {"fork": ForkSettings},
            "selftrain.fork:run"),
    Command("size", "what a run would cost: tokens, GPU-hours, disk, network",
            {"size": SizeSettings, "assumptions": Assumptions}, "selftrain.size:run"),
    Command("check", "whether a run's files are what they were, and what can be mended", {"check": CheckSettings},
            "selftrain.resume:run_check"),
    Command("samples", "ask a run's samples in SQL", {"samples": SamplesSettings}, "selftrain.commands:run_samples"),
    Command("grade", "judge answers in a file of JSON lines",
            {"grade": GradeSettings, "code": CodeJudging}, "selftrain.grade:run"),
    Command("sandbox", "whether model-written code can be run here, and what would mend it",
            {"sandbox": SandboxSettings}, "selftrain.commands:run_sandbox"),
    Command("audit", "how often checkers disagree on a run's answers", {"audit": AuditSettings}, "selftrain.audit:run"),
    Command("env", "print what a bug report needs", {"env": EnvSettings}, "selftrain.commands:run_env"),
)  # fmt: skip


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
