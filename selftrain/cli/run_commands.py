"""What the commands do. Imported when one is called, so that `selftrain --help` stays light."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from typing import Any

from selftrain.cli.sections import (
    DataConfig,
    EnvConfig,
    EvalCommandConfig,
    LoadingConfig,
    ModelConfig,
    RewardConfig,
    RunConfig,
    SamplesConfig,
    SandboxConfig,
)
from selftrain.config import Resolved
from selftrain.engines.config import EngineConfig
from selftrain.engines.ray.backend import RayBackend, open_cluster
from selftrain.engines.ray.config import RayConfig
from selftrain.engines.registry import EngineUsage, check_engine, engine_sections
from selftrain.errors import SettingsError
from selftrain.evaluation import EvalConfig, EvalResult, EvalTask
from selftrain.evaluation.compare import compare
from selftrain.evaluation.metrics import measure
from selftrain.graders import Grader
from selftrain.graders.code.config import CodeConfig
from selftrain.loop.collapse_monitor import MonitorConfig
from selftrain.loop.evaluator import evaluate_with_progress
from selftrain.loop.model_factory import ModelFactory
from selftrain.loop.preflight import too_long
from selftrain.loop.progress import Progress
from selftrain.loop.result import Result
from selftrain.loop.round_record import as_plain, evaluation_rows
from selftrain.loop.run_graders import check_grader
from selftrain.loop.stopping import BudgetConfig
from selftrain.methods import METHODS
from selftrain.models.adapter import AdapterConfig
from selftrain.models.prompts import PromptConfig, make_prompts
from selftrain.problems import ProblemSet, known_datasets, load_problems
from selftrain.problems.splits import EVALUATION_SEED, load_data
from selftrain.report.run_report import print_report
from selftrain.report.summary import as_json
from selftrain.report.table import as_plain_text, render_table
from selftrain.report.verdict import caveats, verdict
from selftrain.report.visible import visible
from selftrain.sandbox import SandboxError, self_test, tier_lines
from selftrain.storage import Record, RunFolder, Told
from selftrain.storage.environment import environment
from selftrain.trainer import SelfTrainer
from selftrain.training.base import TrainingConfig


def run_method(settings: Resolved, resume: bool = False) -> int:
    """`selftrain rest-em` and every other method."""
    data, model, run = settings[DataConfig], settings[LoadingConfig], settings[RunConfig]
    grader = settings[RewardConfig] if "reward" in settings.sections else RewardConfig()
    method = next(section for section in settings.sections.values() if type(section) in METHODS.values())
    train, evaluation = load_data(
        data.dataset_name, data.eval_dataset_name, data.max_train_samples, data.max_eval_samples, data.allow_overlap,
        run.seed, train_split=data.dataset_train_split, test_split=data.dataset_test_split,
        require_answers=method.needs_grader, **_reading(data),
    )  # fmt: skip
    sections = _engine_sections(settings)
    own = {name: sections.pop(name) for name in ("vllm", "server")}
    trainer = SelfTrainer(
        method=method,
        model=model.all, model_revision=model.model_revision, engine_config=settings[EngineConfig], **own,
        engine_sections=sections, adapter=settings[AdapterConfig],
        cluster=settings[RayConfig],
        train_dataset=train, eval_dataset=evaluation, allow_overlap=data.allow_overlap,
        reward_funcs=grader.reward_funcs or None, reward_weights=grader.reward_weights,
        training=settings[TrainingConfig], evaluation=settings[EvalConfig], monitor=settings[MonitorConfig],
        prompt_config=settings[PromptConfig], code=settings[CodeConfig],
        output_dir=run.output_dir, seed=run.seed, settings_yaml=settings.to_yaml(), command=method.name,
        budget=settings[BudgetConfig],
    )  # fmt: skip
    return finish(trainer.train(resume), run.json)


def _engine_sections(settings: Resolved) -> dict[str, Any]:
    return {name: settings.sections[name] for name in engine_sections()}


def _reading(data: DataConfig) -> dict[str, Any]:
    names = ("dataset_config", "question_column", "answer_column", "id_column")
    return {name: getattr(data, name) for name in names}


def finish(result: Result, for_programs: bool) -> int:
    """Tells what a run came to."""
    if for_programs:
        folder, best = str(result.output_dir), str(result.best)
        print(as_json(result.rounds, output_dir=folder, best=best, best_round=result.best_round))
    else:
        print_report(RunFolder(result.output_dir), result.best_round)
    return 0


def run_eval(settings: Resolved) -> int:
    """Measures a model on a data set; with a baseline, both on the same problems with the same luck."""
    asked, data, evaluation = settings[EvalCommandConfig], settings[DataConfig], settings[EvalConfig]
    if evaluation.temperature_sweep or evaluation.gv_gap or evaluation.eval_rounds != 1:
        raise SettingsError(
            "temperature_sweep, gv_gap and eval_rounds are settings of a run",
            "`eval` asks a model once, at one temperature",
            "leave them out; --temperature_eval sets the temperature",
        )
    usage = EngineUsage(several_weights=asked.baseline is not None, ray=settings[RayConfig].ray)
    check_engine(settings[EngineConfig].engine, _engine_sections(settings), usage)
    known = data.dataset_name in known_datasets()
    problems = load_problems(
        data.eval_dataset_name or data.dataset_name, split=data.dataset_test_split or ("test" if known else None),
        max_problems=data.max_eval_samples, seed=EVALUATION_SEED, **_reading(data),
    )  # fmt: skip
    grader_settings, progress = settings[RewardConfig], Progress()
    names = [name for name in (asked.baseline, settings[ModelConfig].model_name_or_path) if name is not None]
    record = Record.create(asked.output_dir, {"command": "eval"}) if asked.output_dir else None
    lines: list[dict[str, Any]] = []
    rewards = grader_settings.reward_funcs or problems.grader
    code = settings[CodeConfig]
    with (
        open_cluster(settings[RayConfig], progress.say) as ray,
        ray.open_grader(rewards, reward_weights=grader_settings.reward_weights, code=code) as rewarding,
    ):
        grader = rewarding.evaluation_grader()
        check_grader(grader, problems, progress)
        base: list[EvalResult] | None = None
        for number, name in enumerate(names):
            answered = _ask(name, problems, grader, settings, progress, ray)
            lines.append({"round": number, "model": name, "weights": name, "metrics": as_plain(measure(answered))})
            if base is not None:
                lines[-1]["against_base"] = as_plain(compare(base, answered))
            base = base or answered
            if record is not None:
                rows = evaluation_rows(answered, number, {p.id: p for p in problems})
                record.write_evaluation(number, rows)
                record.finish_round(number, Told((lines[-1],), {}))
    if record is not None:
        record.write_text("settings.yaml", settings.to_yaml())
        record.close()
    if asked.json:
        print(as_json(lines))
    else:
        print(as_plain_text(render_table(lines)), verdict(lines) if asked.baseline else "", *caveats(lines), sep="\n")
    return 0


def _ask(
    name: str, problems: ProblemSet, grader: Grader, settings: Resolved, progress: Progress, ray: RayBackend
) -> list[EvalResult]:
    asked = settings[EvalCommandConfig]
    revision = settings[ModelConfig].model_revision
    model_factory = ModelFactory(
        settings[PromptConfig],
        settings[EngineConfig],
        revision=revision,
        ray=ray,
        engine_sections=_engine_sections(settings),
    )
    by_id = {p.id: p for p in problems}
    prompts = make_prompts(problems)
    with closing(model_factory.load(name)) as learner:
        gone = too_long(learner, prompts, asked.max_completion_length, settings[PromptConfig])
        prompts = [prompt for prompt in prompts if prompt.problem_id not in gone]
        task = EvalTask(
            prompts,
            lambda responses: grader.grade(responses, by_id),
            asked.max_completion_length,
            f"{asked.seed}/evaluation",
        )
        return evaluate_with_progress(learner, task, settings[EvalConfig], progress, title=f"evaluating {name}")


def run_samples(settings: Resolved) -> int:
    asked = settings[SamplesConfig]
    found = RunFolder.open(asked.run).query(asked.sql)
    names = found.columns
    if asked.json:
        for row in found.fetchall():
            print(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, default=str))
        return 0
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*names)
    for row in found.fetchall():
        # Text, not markup: what a model wrote must not style or steer the terminal.
        table.add_row(*(Text(visible(str(value))) for value in row))
    Console().print(table)
    return 0


def run_sandbox(settings: Resolved) -> int:
    """Exit code 77 where no tier holds, as for a run that needs one."""
    asked = settings[SandboxConfig]
    tier, probes = self_test(asked.profile)
    if asked.json:
        print(json.dumps({"profile": asked.profile, "tier": tier, "probes": [asdict(one) for one in probes]}))
    else:
        print(*tier_lines(tier, asked.profile, probes), sep="\n")
    return SandboxError.exit_code if tier is None else 0


def run_env(settings: Resolved) -> int:
    facts = environment()
    if settings[EnvConfig].json:
        print(json.dumps(facts))
        return 0
    for name, value in facts.items():
        print(f"{name}: {', '.join(f'{k} {v}' for k, v in value.items()) if isinstance(value, dict) else value}")
    return 0
