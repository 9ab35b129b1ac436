"""The work of `selftrain eval`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from selftrain.cli.shared import DatasetConfig, RewardConfig
from selftrain.config import Resolved
from selftrain.engines.config import EngineConfig
from selftrain.engines.ray.backend import open_cluster
from selftrain.engines.ray.config import RayConfig
from selftrain.engines.registry import EngineUsage, check_engine, engine_sections
from selftrain.errors import SettingsError
from selftrain.evaluation import EvalConfig, EvalResult, EvalTask
from selftrain.evaluation.compare import compare
from selftrain.evaluation.metrics import measure
from selftrain.graders.code.config import CodeConfig
from selftrain.loop.evaluator import evaluate_with_progress
from selftrain.loop.model_factory import ModelFactory
from selftrain.loop.preflight import too_long_problems
from selftrain.loop.progress import Progress
from selftrain.loop.round_record import FinishedRound, evaluation_rows
from selftrain.loop.run_config import ModelConfig
from selftrain.loop.run_graders import check_grader
from selftrain.models.prompts import PromptConfig, make_prompts
from selftrain.problems import ProblemSet, known_datasets, load_problems
from selftrain.problems.splits import EVALUATION_SEED
from selftrain.report.history import RunHistory
from selftrain.report.round_record import RoundRecord
from selftrain.storage import Record


def evaluate_models(
    settings: Resolved, models: Sequence[str], *, max_completion_length: int, key: str, output_dir: str | None = None
) -> RunHistory:
    """Evaluates each model on the same problems with the same random numbers; all are compared with the first.

    Args:
        max_completion_length: in tokens.
        key: of the random streams.
        output_dir: a new folder for the responses.

    Raises:
        SettingsError: settings of a run that an evaluation does not have.
    """
    evaluation, data, reward = settings[EvalConfig], settings[DatasetConfig], settings[RewardConfig]
    _check(settings, several_weights=len(models) > 1)
    problems, progress = _load_problems(data), Progress()
    record = Record.create(output_dir, {"command": "eval"}) if output_dir else None
    rewards, code = reward.reward_funcs or problems.grader, settings[CodeConfig]
    with (
        open_cluster(settings[RayConfig], progress.say) as backend,
        backend.open_grader(rewards, reward_weights=reward.reward_weights, code=code) as reward_grader,
    ):
        grader, by_id = reward_grader.evaluation_grader(), {problem.id: problem for problem in problems}
        check_grader(grader, problems, progress)
        task = EvalTask(make_prompts(problems), lambda r: grader.grade(r, by_id), max_completion_length, key)
        model_factory = ModelFactory(
            settings[PromptConfig],
            settings[EngineConfig],
            revision=settings[ModelConfig].model_revision,
            ray=backend,
            engine_sections=_engine_sections(settings),
            say=progress.say,
        )
        records: list[RoundRecord] = []
        base: list[EvalResult] | None = None
        for number, model in enumerate(models):
            with closing(model_factory.load(model)) as learner:
                dropped = too_long_problems(learner, task.prompts, max_completion_length, settings[PromptConfig])
                fitting = replace(task, prompts=[p for p in task.prompts if p.problem_id not in dropped])
                results = evaluate_with_progress(learner, fitting, evaluation, progress, title=f"evaluating {model}")
            measured = RoundRecord(round=number, model=model, weights=model, metrics=measure(results))
            records.append(measured if base is None else replace(measured, against_base=compare(base, results)))
            base = base or results
            if record is not None:
                record.write_evaluation(number, evaluation_rows(results, number, by_id))
                record.finish_round(number, FinishedRound((records[-1],), {}).to_journal())
    if record is not None:
        record.write_text("settings.yaml", settings.to_yaml())
        record.close()
    return RunHistory(records)


def _check(settings: Resolved, *, several_weights: bool) -> None:
    evaluation = settings[EvalConfig]
    if evaluation.temperature_sweep or evaluation.gv_gap or evaluation.eval_rounds != 1:
        raise SettingsError(
            "temperature_sweep, gv_gap and eval_rounds are settings of a run",
            "`eval` evaluates a model once, at one temperature",
            "leave them out; --temperature_eval sets the temperature",
        )
    usage = EngineUsage(several_weights=several_weights, ray=settings[RayConfig].ray)
    check_engine(settings[EngineConfig].engine, _engine_sections(settings), usage)


def _engine_sections(settings: Resolved) -> dict[str, Any]:
    return {name: settings.sections[name] for name in engine_sections()}


def _load_problems(data: DatasetConfig) -> ProblemSet:
    split = data.dataset_test_split or ("test" if data.dataset_name in known_datasets() else None)
    return load_problems(
        data.eval_dataset_name or data.dataset_name,
        split=split,
        max_problems=data.max_eval_samples,
        seed=EVALUATION_SEED,
        **data.columns,
    )
