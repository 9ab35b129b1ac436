"""From settings to a run: loads data, graders and models, checks all that can be checked, and starts the loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
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
from selftrain.errors import all_checked
from selftrain.evaluation import EvalConfig
from selftrain.graders import check_rewards
from selftrain.graders.code.config import CodeConfig
from selftrain.handover.config import HubConfig
from selftrain.handover.finish import handing_over
from selftrain.loop.answer_watch import AnswerWatch
from selftrain.loop.collapse_monitor import MonitorConfig
from selftrain.loop.describe import data_lines, describe
from selftrain.loop.learner import Learner
from selftrain.loop.model_factory import ModelFactory
from selftrain.loop.preflight import DiskNeed, check_models, name_models, without_long_prompts
from selftrain.loop.progress import Progress
from selftrain.loop.prompt_choice import PromptChoice, PromptFit, choose
from selftrain.loop.result import Result
from selftrain.loop.resume_guard import inputs_of, open_record, recorded_threads
from selftrain.loop.run import Run, RunContext, RunSettings
from selftrain.loop.run_config import ModelConfig, PeerModelsConfig, RunConfig
from selftrain.loop.run_graders import Rewards, RunGraders, grader_of, open_run_graders
from selftrain.loop.run_to_end import run_to_end
from selftrain.loop.stopping import BudgetConfig, StopController
from selftrain.methods.base import Method
from selftrain.models.adapter import AdapterConfig
from selftrain.models.placement import check_device
from selftrain.models.prompts import PromptConfig
from selftrain.models.tokenizer_facts import read_facts
from selftrain.problems import ProblemSet
from selftrain.problems.answer_kind import answer_kind
from selftrain.problems.config import DataConfig
from selftrain.problems.splits import Data, RunData, load_data, split
from selftrain.storage import AnswerCache, Record
from selftrain.storage.journal import holds_run
from selftrain.training.base import TrainingConfig
from selftrain.types import Shots


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
        eval_dataset: the same; by default the test split of a known set, else problems that are held out.
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
    hub: HubConfig = HubConfig()
    settings: Resolved | None = None
    command: str = ""
    progress: Progress = field(default_factory=Progress)

    def train(self, resume: bool = False) -> Result:
        """Runs all rounds.

        Args:
            resume: continue the run in `output_dir`, if there is one; everything but resumable settings has to be as it
                was.

        Raises:
            StoppedError: it was told to stop, or its budget is used up; it can be resumed.
            SelftrainError: something cannot work; the message says what, why and what to do.
        """
        resume = resume and holds_run(Path(self.output_dir))
        models = name_models(self.method, self.model)
        train, evaluation = self._load_data(models, resume=resume)
        choice = choose(
            self.prompts, getattr(self.method, "max_completion_length", 0), self._fit(models, train, evaluation)
        )
        run = self._with(choice)
        return run._train(models, run._split(train, evaluation, choice.shots), resume=resume)

    def _load_data(self, models: Mapping[str, str], *, resume: bool) -> tuple[ProblemSet, ProblemSet]:
        """The data, and with it all that can be known to be wrong before a model is loaded, told at once."""
        settings, rewards = self._run_settings(), self.reward_funcs if self.method.needs_grader else ()
        # How many weights an adapter has is known when the model is loaded.
        folder = None if resume or self.adapter.use_peft else Path(self.output_dir)
        found = all_checked(
            lambda: None if resume else Record.require_free(self.output_dir),
            self.adapter.require_packages,
            self.hub.require_token,
            self._check_engine,
            lambda: check_device(self.engine.device),
            lambda: check_rewards(rewards or ()),
            lambda: check_models(
                models.values(), settings, revision=self.model_revision, keep=self.budget.keep_weights, folder=folder
            ),
            lambda: load_data(
                self.train_dataset, self.eval_dataset, self.data, seed=self.seed,
                require_answers=self.method.needs_grader,
            ),
        )  # fmt: skip
        data: tuple[ProblemSet, ProblemSet] = found[-1]
        return data

    def _fit(self, models: Mapping[str, str], train: ProblemSet, evaluation: ProblemSet) -> PromptFit:
        # Without a grader no answer or solution of a training problem is looked at, unless examples are asked for.
        looks = self.method.needs_grader
        shown = looks or self.prompts.num_fewshot not in ("auto", 0)
        sets = (train, evaluation) if looks else (evaluation,)
        return PromptFit(
            models=[read_facts(model, self.model_revision) for model in models.values()],
            kind=answer_kind(grader_of(self.reward_funcs, train.grader), *sets),
            train=train if shown else None,
            evaluation=evaluation,
            seed=self.seed,
        )

    def _with(self, choice: PromptChoice) -> SelfTrainer:
        """The same run with nothing left 'auto'."""
        self.progress.say_all(choice.lines())
        settings = self._settings().with_chosen(choice.settings, choice.reasons)
        method: Any = self.method
        if hasattr(method, "max_completion_length"):
            method = replace(method, max_completion_length=choice.response_length)
        return replace(self, method=method, prompts=choice.prompts, settings=settings)

    def _train(self, models: Mapping[str, str], data: RunData, *, resume: bool) -> Result:
        with ExitStack() as stack:
            self.progress.say_all(stack.enter_context(recorded_threads(self.output_dir, resume=resume)))
            run = self._open(models, data, stack, resume=resume)
            return run_to_end(run, models)

    def _open(self, models: Mapping[str, str], data: RunData, stack: ExitStack, *, resume: bool) -> Run:
        """Opens everything that a run needs, to be closed with the `stack`; cheap checks come first."""
        settings, progress = self._run_settings(), self.progress
        stops = StopController(self.budget, f"resume it with: selftrain resume {self.output_dir}")
        answer_cache = AnswerCache(stops.raise_if_stopping)
        ray = stack.enter_context(open_cluster(self.ray, progress.say))
        graders = stack.enter_context(self._open_graders(data, ray))
        graders.check(data.splits, progress)
        watch = AnswerWatch(progress.say, graders.read, self.prompts.min_read_share)
        factory = self._model_factory(ray, watch)
        placement = factory.place(models, keeps_moments=settings.training.optimizer_spans == "run")
        progress.say_all(placement.lines())
        slots = placement.slots

        def load() -> list[Learner]:
            learners = []
            for name, path in models.items():
                learners.append(factory.load(path, name, answer_cache=answer_cache, slot=slots[name]))
                stack.callback(learners[-1].close)
            return learners

        learners = load()
        splits = without_long_prompts(data.splits, learners, self.method.sampling.max_completion_length, self.prompts)
        if dropped := len(data.splits.all) - len(splits.all):
            progress.say(f"data: {dropped:,} problems are dropped, their prompts are too long")
        resolved = self._settings()
        inputs = inputs_of(self.command, splits, models, resolved)
        resumable = resolved.resumable if resume else None
        record = stack.enter_context(open_record(self.output_dir, inputs, answer_cache, resumable))
        stack.enter_context(progress.log_to(record.folder.path / "log.txt"))
        stack.enter_context(handing_over(record, self.hub, progress.say))
        progress.say_all(f"unknown to the journal, moved to {path}" for path in record.quarantined)
        run = Run(
            settings=settings,
            context=RunContext(record, progress, stops),
            learners=learners,
            splits=splits,
            graders=graders,
            base_models=cache(load),
        )
        if not record.is_described:
            keep, saved = self.budget.keep_weights, [learner.saved_bytes for learner in learners]
            trained = [learner.trainer.trained_bytes for learner in learners]
            progress.say(DiskNeed.of(saved, settings, keep, trained).check(record.folder.path, keep))
            describe(run, data, resolved)
        return run

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

    def _model_factory(self, ray: RayBackend, watch: AnswerWatch) -> ModelFactory:
        return ModelFactory(
            self.prompts,
            self.engine,
            revision=self.model_revision,
            ray=ray,
            adapter=self.adapter,
            watch=watch,
            engine_sections=self._engine_sections,
            say=self.progress.say,
        )

    def _split(self, train: ProblemSet, evaluation: ProblemSet, few_shot: Shots) -> RunData:
        splits = split(
            train,
            evaluation,
            validation_size=self._run_settings().training.validation_size,
            few_shot=few_shot,
            seed=self.seed,
        )
        if not self.method.needs_grader:
            splits = splits.without_answers(keep_validation=self.monitor.probe_labels)
        data = RunData(train, evaluation, splits)
        self.progress.say_all(data_lines(data))
        return data

    def _open_graders(self, data: RunData, ray: RayBackend) -> AbstractContextManager[RunGraders]:
        return open_run_graders(
            self.method,
            data.train.grader,
            reward_funcs=self.reward_funcs,
            reward_weights=self.reward_weights,
            probe_labels=self.monitor.probe_labels,
            eval_labels=data.splits.can_be_graded,
            code=self.code,
            ray=ray,
        )

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
