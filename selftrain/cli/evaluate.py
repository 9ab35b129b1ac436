"""The work of `selftrain eval`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Any

from selftrain.cli.shared import DatasetConfig, RewardConfig
from selftrain.config import Resolved, Sections, config_dataclass, section_types, setting
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
from selftrain.trainer import SelfTrainer


@config_dataclass
class EvalCommandConfig:
    max_completion_length: int = setting(1024, "maximum tokens of a response", ge=1)
    baseline: str | None = setting(None, "model to compare with, problem by problem: local folder or hub id")
    output_dir: str | None = setting(None, "save the responses in this folder; by default they are not saved")
    seed: int = setting(42, "seed of all randomness", source="transformers")
    json: bool = setting(False, "print the result as JSON on standard output")


def sections() -> Sections:
    """Those of a run but for its training."""
    own = {"eval": EvalCommandConfig, "model": ModelConfig, "reward": RewardConfig}
    of_a_run = {**section_types(SelfTrainer), **engine_sections(), "data": DatasetConfig}
    return own | {
        name: section for name, section in of_a_run.items() if name not in ("training", "monitor", "budget", "adapter")
    }


def evaluate_models(settings: Resolved) -> RunHistory:
    """Measures a model on a dataset; with a baseline, both on the same problems with the same random numbers.

    Raises:
        SettingsError: settings of a run that this command does not have.
    """
    config, evaluation = settings[EvalCommandConfig], settings[EvalConfig]
    if evaluation.temperature_sweep or evaluation.gv_gap or evaluation.eval_rounds != 1:
        raise SettingsError(
            "temperature_sweep, gv_gap and eval_rounds are settings of a run",
            "`eval` evaluates a model once, at one temperature",
            "leave them out; --temperature_eval sets the temperature",
        )
    usage = EngineUsage(several_weights=config.baseline is not None, ray=settings[RayConfig].ray)
    check_engine(settings[EngineConfig].engine, _engine_sections(settings), usage)
    problems, reward, progress = _load_problems(settings[DatasetConfig]), settings[RewardConfig], Progress()
    names = [name for name in (config.baseline, settings[ModelConfig].model_name_or_path) if name is not None]
    record = Record.create(config.output_dir, {"command": "eval"}) if config.output_dir else None
    records: list[RoundRecord] = []
    rewards, code = reward.reward_funcs or problems.grader, settings[CodeConfig]
    with (
        open_cluster(settings[RayConfig], progress.say) as backend,
        backend.open_grader(rewards, reward_weights=reward.reward_weights, code=code) as reward_grader,
    ):
        grader = reward_grader.evaluation_grader()
        check_grader(grader, problems, progress)
        base: list[EvalResult] | None = None
        for number, name in enumerate(names):
            results = _evaluate(name, problems, grader, settings, progress, backend)
            measured = RoundRecord(round=number, model=name, weights=name, metrics=measure(results))
            records.append(measured if base is None else replace(measured, against_base=compare(base, results)))
            base = base or results
            if record is not None:
                record.write_evaluation(number, evaluation_rows(results, number, {p.id: p for p in problems}))
                record.finish_round(number, FinishedRound((records[-1],), {}).to_journal())
    if record is not None:
        record.write_text("settings.yaml", settings.to_yaml())
        record.close()
    return RunHistory(records)


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


def _evaluate(
    name: str, problems: ProblemSet, grader: Grader, settings: Resolved, progress: Progress, backend: RayBackend
) -> list[EvalResult]:
    config = settings[EvalCommandConfig]
    model_factory = ModelFactory(
        settings[PromptConfig],
        settings[EngineConfig],
        revision=settings[ModelConfig].model_revision,
        ray=backend,
        engine_sections=_engine_sections(settings),
    )
    by_id = {problem.id: problem for problem in problems}
    prompts = make_prompts(problems)
    with closing(model_factory.load(name)) as learner:
        dropped = too_long_problems(learner, prompts, config.max_completion_length, settings[PromptConfig])
        task = EvalTask(
            [prompt for prompt in prompts if prompt.problem_id not in dropped],
            lambda responses: grader.grade(responses, by_id),
            config.max_completion_length,
            f"{config.seed}/evaluation",
        )
        return evaluate_with_progress(learner, task, settings[EvalConfig], progress, title=f"evaluating {name}")
