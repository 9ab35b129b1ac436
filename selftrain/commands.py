"""What the commands do. Imported when one is called, so that `selftrain --help` stays light."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from typing import Any

from selftrain.adapter import Adapter
from selftrain.budget import Budget
from selftrain.cluster.opening import Spread, open_cluster
from selftrain.cluster.settings import Cluster
from selftrain.code_tasks import CodeJudging
from selftrain.computing import Computing
from selftrain.data import EVALUATION_SEED, load_data
from selftrain.engines.server.settings import Server
from selftrain.environment import environment
from selftrain.errors import SettingsError
from selftrain.evaluation import Answered, Evaluation, compare, measure
from selftrain.examination import ask_all
from selftrain.grading import Judge
from selftrain.judges import check_judge
from selftrain.learning.base import Learning
from selftrain.machinery import MACHINERY, Loader
from selftrain.methods import METHODS
from selftrain.preparation import too_long
from selftrain.problems import ProblemSet, load_problems, registered
from selftrain.progress import Progress
from selftrain.prompts import Prompting, make_prompts
from selftrain.record import Record, RunFolder, Told
from selftrain.report.summary import as_json
from selftrain.report.table import as_plain_text, render_table
from selftrain.report.verdict import caveats, verdict
from selftrain.report.visible import visible
from selftrain.result import Result
from selftrain.run_lines import as_plain, evaluation_rows
from selftrain.run_report import print_report
from selftrain.sandbox import SandboxError, self_test, tier_lines
from selftrain.sections import (
    DataSettings,
    EnvSettings,
    EvalSettings,
    JudgeSettings,
    LoadingSettings,
    ModelSettings,
    RunSettings,
    SamplesSettings,
    SandboxSettings,
)
from selftrain.selftrainer import SelfTrainer
from selftrain.settings import Resolved
from selftrain.watch import Watch


def run_method(settings: Resolved, resume: bool = False) -> int:
    """`selftrain rest-em` and every other method."""
    data, model, run = settings[DataSettings], settings[LoadingSettings], settings[RunSettings]
    judge = settings[JudgeSettings] if "judge" in settings.sections else JudgeSettings()
    method = next(section for section in settings.sections.values() if type(section) in METHODS.values())
    train, evaluation = load_data(
        data.dataset_name, data.eval_dataset_name, data.max_train_samples, data.max_eval_samples, data.allow_overlap,
        run.seed, train_split=data.dataset_train_split, test_split=data.dataset_test_split,
        require_answers=method.needs_judge, **_reading(data),
    )  # fmt: skip
    trainer = SelfTrainer(
        method=method,
        model=model.all, model_revision=model.model_revision, **_machinery(settings), adapter=settings[Adapter],
        cluster=settings[Cluster],
        train_dataset=train, eval_dataset=evaluation, allow_overlap=data.allow_overlap,
        reward_funcs=judge.reward_funcs or None, reward_weights=judge.reward_weights,
        learning=settings[Learning], evaluation=settings[Evaluation], watch=settings[Watch],
        prompting=settings[Prompting], code=settings[CodeJudging],
        output_dir=run.output_dir, seed=run.seed, settings_yaml=settings.to_yaml(), command=method.name,
        budget=settings[Budget],
    )  # fmt: skip
    return finish(trainer.train(resume), run.json)


def _machinery(settings: Resolved) -> dict[str, Any]:
    return {name: settings.sections[name] for name in MACHINERY}


def _reading(data: DataSettings) -> dict[str, Any]:
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
    asked, data, evaluation = settings[EvalSettings], settings[DataSettings], settings[Evaluation]
    if evaluation.temperature_sweep or evaluation.gv_gap or evaluation.eval_rounds != 1:
        raise SettingsError(
            "temperature_sweep, gv_gap and eval_rounds are settings of a run",
            "`eval` asks a model once, at one temperature",
            "leave them out; --temperature_eval sets the temperature",
        )
    settings[Server].check(settings[Computing].engine, several_weights=asked.baseline is not None)
    known = data.dataset_name in registered()
    problems = load_problems(
        data.eval_dataset_name or data.dataset_name, split=data.dataset_test_split or ("test" if known else None),
        max_problems=data.max_eval_samples, seed=EVALUATION_SEED, **_reading(data),
    )  # fmt: skip
    judge_settings, progress = settings[JudgeSettings], Progress()
    names = [name for name in (asked.baseline, settings[ModelSettings].model_name_or_path) if name is not None]
    record = Record.create(asked.output_dir, {"command": "eval"}) if asked.output_dir else None
    lines: list[dict[str, Any]] = []
    rewards = judge_settings.reward_funcs or problems.judge
    code = settings[CodeJudging]
    with (
        open_cluster(settings[Cluster], progress.say) as spread,
        spread.open_judge(rewards, reward_weights=judge_settings.reward_weights, code=code) as rewarding,
    ):
        judge = rewarding.examiner()
        check_judge(judge, problems, progress)
        base: list[Answered] | None = None
        for number, name in enumerate(names):
            answered = _ask(name, problems, judge, settings, progress, spread)
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
    name: str, problems: ProblemSet, judge: Judge, settings: Resolved, progress: Progress, spread: Spread
) -> list[Answered]:
    asked = settings[EvalSettings]
    revision = settings[ModelSettings].model_revision
    loader = Loader(settings[Prompting], revision=revision, spread=spread, **_machinery(settings))
    by_id = {p.id: p for p in problems}
    prompts = make_prompts(problems)
    with closing(loader.load(name)) as learner:
        gone = too_long(learner, prompts, asked.max_completion_length, settings[Prompting])
        prompts = [prompt for prompt in prompts if prompt.problem_id not in gone]
        return ask_all(
            learner, prompts, lambda responses: judge.grade(responses, by_id), settings[Evaluation],
            asked.max_completion_length, f"{asked.seed}/evaluation", progress, f"evaluating {name}",
        )  # fmt: skip


def run_samples(settings: Resolved) -> int:
    asked = settings[SamplesSettings]
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
    asked = settings[SandboxSettings]
    tier, probes = self_test(asked.profile)
    if asked.json:
        print(json.dumps({"profile": asked.profile, "tier": tier, "probes": [asdict(one) for one in probes]}))
    else:
        print(*tier_lines(tier, asked.profile, probes), sep="\n")
    return SandboxError.exit_code if tier is None else 0


def run_env(settings: Resolved) -> int:
    facts = environment()
    if settings[EnvSettings].json:
        print(json.dumps(facts))
        return 0
    for name, value in facts.items():
        print(f"{name}: {', '.join(f'{k} {v}' for k, v in value.items()) if isinstance(value, dict) else value}")
    return 0
