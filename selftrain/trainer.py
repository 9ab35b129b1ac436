"""From settings to a run: loads model, data and judge, checks everything that can be checked, starts the loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from selftrain.config import Resolved, section_types
from selftrain.engines.config import EngineConfig
from selftrain.engines.ray.backend import RayBackend, open_cluster
from selftrain.engines.ray.config import RayConfig
from selftrain.engines.registry import EngineUsage, check_engine
from selftrain.engines.server.config import ServerConfig
from selftrain.engines.vllm.config import VllmConfig
from selftrain.evaluation import EvalConfig
from selftrain.graders.code.config import CodeConfig
from selftrain.loop.collapse_monitor import MonitorConfig
from selftrain.loop.learner import Learner
from selftrain.loop.model_factory import ModelFactory
from selftrain.loop.preflight import names_of, too_long
from selftrain.loop.progress import Progress
from selftrain.loop.result import Result
from selftrain.loop.resume_guard import inputs_of, open_record
from selftrain.loop.round_loop import RoundLoop
from selftrain.loop.run import Run, RunContext, RunSettings
from selftrain.loop.run_config import ModelConfig, PeerModelsConfig, RunConfig
from selftrain.loop.run_graders import Rewards, RunGraders, open_run_graders
from selftrain.loop.stopping import BudgetConfig, StopController
from selftrain.methods.base import Method
from selftrain.models.adapter import AdapterConfig
from selftrain.models.placement import DeviceSlot
from selftrain.models.prompts import PromptConfig, make_prompts
from selftrain.problems import ProblemSet
from selftrain.problems.config import DataConfig
from selftrain.problems.splits import Data, DataSplits, divide, load_data
from selftrain.report.best_round import BestRound
from selftrain.report.history import RunHistory
from selftrain.report.round_record import read_rounds
from selftrain.report.run_report import write_report
from selftrain.report.visible import visible
from selftrain.storage import AnswerCache, Record
from selftrain.storage.environment import environment
from selftrain.storage.typed_json import from_plain, to_plain
from selftrain.training.base import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class SelfTrainer:
    """One run: a method, a model, problems, an output folder.

    SelfTrainer(method=RestEM(num_rounds=2), model="Qwen/Qwen2.5-0.5B", train_dataset="gsm8k",
                output_dir="runs/first").train()

    The fields whose type is a section of settings *are* the sections: the command line's groups of flags, the groups
    of a YAML file and settings.yaml have their names.

    Args:
        method: which method, with its settings.
        model: a local folder or a hub id; several for a method whose models learn together.
        train_dataset: a known name, a file, a hub id, a `datasets.Dataset` or a list of dicts.
        eval_dataset: the same; by default the test split of a known set, else a tenth of the problems.
        reward_funcs: names of graders, or reward functions in TRL's form; by default the dataset's own grader.
            Evaluations use the same, or the dataset's own where it is an ablation such as "always_one".
        training, evaluation: by default the method's.
        engine_sections: settings of engines from other packages, by the names of their sections.
        settings: every setting with its origin; the command line passes them. By default the fields above.
        command: the command that can resume the run; empty for a run begun in Python.
    """

    method: Method
    model: str | Sequence[str]
    train_dataset: Data
    output_dir: str | Path
    eval_dataset: Data | None = None
    reward_funcs: Rewards | None = None
    reward_weights: Sequence[float] | None = None
    model_revision: str = "main"
    seed: int = 42
    data: DataConfig = DataConfig()
    training: TrainingConfig | None = None
    evaluation: EvalConfig | None = None
    monitor: MonitorConfig = MonitorConfig()
    prompts: PromptConfig = PromptConfig()
    code: CodeConfig = CodeConfig()
    budget: BudgetConfig = BudgetConfig()
    engine: EngineConfig = EngineConfig()
    vllm: VllmConfig = VllmConfig()
    server: ServerConfig = ServerConfig()
    engine_sections: Mapping[str, Any] = field(default_factory=dict)
    ray: RayConfig = RayConfig()
    adapter: AdapterConfig = AdapterConfig()
    settings: Resolved | None = None
    command: str = ""
    progress: Progress = field(default_factory=Progress)

    def train(self, resume: bool = False) -> Result:
        """Runs all rounds.

        Args:
            resume: go on with the run that `output_dir` holds; everything else has to be as it was.

        Raises:
            StoppedError: it was asked to stop, or its budget is used up; it can be resumed.
            SelftrainError: something cannot work; the message says what, why and what to do.
        """
        self.adapter.require_packages()
        if not resume:
            Record.require_free(self.output_dir)
        names = names_of(self.method, self.model)
        self._check_engine()
        settings = self._run_settings()
        train, tests, parts = self._load_data(settings.training)
        stops = StopController(self.budget, f"resume it with: selftrain resume {self.output_dir}")
        answer_cache = AnswerCache(stops.raise_if_stopping)
        with ExitStack() as open_until_done:
            ray = open_until_done.enter_context(open_cluster(self.ray, self.progress.say))
            graders = open_until_done.enter_context(self._graders(train, parts, ray))
            graders.check(parts, self.progress)
            model_factory = self._loader(ray)
            seats = self._seats(model_factory, names, settings.training)
            learners = load_learners(model_factory, names, answer_cache, seats, open_until_done)
            parts = self._drop_too_long(parts, learners)
            inputs = inputs_of(self.command, parts, names, self._settings().to_dict())
            resumable = self._settings().resumable if resume else None
            record = open_until_done.enter_context(open_record(self.output_dir, inputs, answer_cache, resumable))
            open_until_done.enter_context(self.progress.log_to(record.folder.path / "log.txt"))
            if resume:
                self.progress.say_all(f"unknown to the journal, moved to {one}" for one in record.quarantined)
            if record.metadata("described") is None:
                self._describe(record, train, tests, parts, learners, graders)
                record.finish("described", {})
            run = Run(
                settings=settings,
                context=RunContext(record, self.progress, stops),
                learners=learners,
                splits=parts,
                graders=graders,
                base_models=cache(lambda: load_learners(model_factory, names, answer_cache, seats, open_until_done)),
            )
            with stops.handling_signals():
                history = finished_history(record) if record.is_done else RoundLoop(run).run()
                return self._conclude(record, history, names)

    def _load_data(self, training: TrainingConfig) -> tuple[ProblemSet, ProblemSet, DataSplits]:
        train, tests = load_data(
            self.train_dataset, self.eval_dataset, self.data, seed=self.seed, require_answers=self.method.needs_grader
        )
        splits = divide(train, tests, training.validation_size, self.prompts.num_fewshot, self.seed)
        if not self.method.needs_grader:
            splits = splits.without_answers(keep_validation=self.monitor.probe_labels)
        self._tell(train, tests, splits)
        return train, tests, splits

    def _run_settings(self) -> RunSettings:
        return RunSettings(
            method=self.method,
            training=self.training or self.method.training,
            evaluation=self.evaluation or self.method.evaluation,
            monitor=self.monitor,
            seed=self.seed,
            problems_at_once=self.engine.problems_at_once,
        )

    def _check_engine(self) -> None:
        usage = EngineUsage(
            several_weights=True,
            top_k=self.method.sampling.top_k,
            ray=self.ray.ray,
            load_in_4bit=self.adapter.load_in_4bit,
        )
        check_engine(self.engine.engine, self._engine_sections, usage)

    @property
    def _engine_sections(self) -> Mapping[str, Any]:
        return {"vllm": self.vllm, "server": self.server, **self.engine_sections}

    def _loader(self, ray: RayBackend) -> ModelFactory:
        return ModelFactory(
            self.prompts,
            self.engine,
            revision=self.model_revision,
            ray=ray,
            adapter=self.adapter,
            engine_sections=self._engine_sections,
        )

    def _seats(
        self, model_factory: ModelFactory, names: Mapping[str, str], training: TrainingConfig
    ) -> Mapping[str, DeviceSlot]:
        placement = model_factory.place(names, keeps_moments=training.optimizer_spans == "run")
        self.progress.say_all(placement.lines())
        return placement.slots

    def _graders(self, train: ProblemSet, parts: DataSplits, ray: RayBackend) -> AbstractContextManager[RunGraders]:
        return open_run_graders(
            self.method, train.grader, self.reward_funcs, self.reward_weights, self.monitor.probe_labels,
            parts.can_be_graded, self.code, ray,
        )  # fmt: skip

    def _tell(self, train: ProblemSet, evaluation: ProblemSet, parts: DataSplits) -> None:
        for line in (*train.mapping, *train.warnings, *(f"evaluation: {w}" for w in evaluation.warnings)):
            self.progress.say(f"data: {line}")
        self.progress.say(
            f"data: {len(parts.train):,} problems to learn from, {len(parts.validation):,} to stop by (D_val), "
            f"{len(parts.evaluation):,} to evaluate on"
        )

    def _drop_too_long(self, parts: DataSplits, learners: Sequence[Learner]) -> DataSplits:
        """Prompts that leave no room for an answer end the run here, or are dropped where that was asked for."""
        prompts = make_prompts(parts.all, parts.few_shot)
        # The last of several models reads the answers of all others before it writes its own.
        length = self.method.sampling.max_completion_length * len(learners)
        gone = {one for learner in learners for one in too_long(learner, prompts, length, self.prompts)}
        if gone:
            self.progress.say(f"data: {len(gone):,} problems are dropped, their prompts are too long")
        return parts.without(gone)

    def _describe(
        self, record: Record, train: ProblemSet, evaluation: ProblemSet, parts: DataSplits,
        learners: Sequence[Learner], graders: RunGraders,
    ) -> None:  # fmt: skip
        """Writes down everything that the run is, before it costs anything."""
        record.write_text("settings.yaml", self._settings().to_yaml())
        example = make_prompts(parts.train[:1], parts.few_shot)[0]
        record.write_json(
            "environment.json",
            environment()
            | {
                "models": {learner.name: learner.base for learner in learners},
                "engines": {learner.name: learner.engine.description for learner in learners},
                "prompt_examples": {learner.name: learner.engine.prompt_text(example) for learner in learners},
                "grader": {"name": graders.evaluation_grader.name} | graders.evaluation_grader.metadata,
                "train": {"name": train.name, "mapping": train.mapping, "warnings": train.warnings},
                "evaluation": {"name": evaluation.name, "mapping": evaluation.mapping, "warnings": evaluation.warnings},
            },
        )
        if graders.evaluation_grader.warning:
            self.progress.say(graders.evaluation_grader.warning)
        for learner in learners:
            self.progress.say(f"{learner.name} is sampled by {learner.engine.description}")
            self.progress.say(f"{learner.name} is shown, whole:\n{visible(learner.engine.prompt_text(example))}")

    def _settings(self) -> Resolved:
        """Every setting, under the names of the command line."""
        if self.settings is not None:
            return self.settings
        several = not isinstance(self.model, str)
        model = {"models": tuple(self.model)} if several else {"model_name_or_path": self.model}
        return Resolved.of(
            {
                "run": RunConfig(output_dir=str(self.output_dir), seed=self.seed),
                "model": (PeerModelsConfig if several else ModelConfig)(**model, model_revision=self.model_revision),
                "method": self.method,
                **{name: getattr(self, name) or getattr(self.method, name) for name in section_types(type(self))},
                **self.engine_sections,
            }
        )

    def _conclude(self, record: Record, history: RunHistory, names: Mapping[str, str]) -> Result:
        best = to_plain(history.best)
        record.point_best(best, names)
        write_report(record, history)
        record.finish("done", best)
        record.discard_answers(range(self.method.num_rounds + 1))
        return Result(record.folder.path, history)


def finished_history(record: Record) -> RunHistory:
    """Of a run that is at its end."""
    best = from_plain(BestRound, record.metadata("done"), "the end of the journal")
    return RunHistory(read_rounds(record.folder), best)


def load_learners(
    model_factory: ModelFactory,
    names: Mapping[str, str],
    answer_cache: AnswerCache,
    seats: Mapping[str, DeviceSlot],
    end: ExitStack,
) -> list[Learner]:
    """The models as they are before round 1, closed at the `end`."""
    learners = []
    for name, path in names.items():
        learner = model_factory.load(path, name, answer_cache=answer_cache, slot=seats[name])
        end.callback(learner.close)
        learners.append(learner)
    return learners
