"""From settings to a run: loads model, data and judge, checks everything that can be checked, starts the loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

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
from selftrain.loop.run_graders import Rewards, RunGraders, open_run_graders
from selftrain.loop.stopping import BudgetConfig, StopController
from selftrain.methods.base import Method
from selftrain.models.adapter import AdapterConfig
from selftrain.models.placement import DeviceSlot
from selftrain.models.prompts import PromptConfig, make_prompts
from selftrain.problems import ProblemSet, check_overlap
from selftrain.problems.splits import Data, DataSplits, divide, load_data
from selftrain.report.choice import best_round
from selftrain.report.run_report import write_report
from selftrain.report.visible import visible
from selftrain.storage import AnswerCache, Record
from selftrain.storage.environment import environment
from selftrain.training.base import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class SelfTrainer:
    """One run: a method, a model, problems, an output folder.

    SelfTrainer(method=RestEM(num_rounds=2), model="Qwen/Qwen2.5-0.5B", train_dataset="gsm8k",
                output_dir="runs/first").train()

    Args:
        method: which method, with its settings.
        model: a local folder or a hub id; several for a method whose models learn together.
        train_dataset: a known name, a file, a hub id, a `datasets.Dataset` or a list of dicts.
        eval_dataset: the same; by default the test split of a known set, else a tenth of the problems.
        reward_funcs: judge names or reward functions in TRL's form; by default the judge of the data set. Evaluations
            are judged by the same, or by the data set's own judge where it is a control such as "always_one".
        learning, evaluation: how to train and to evaluate; by default what the method comes with.
        watch: how the run is watched for collapse.
        code: how model-written code is judged.
        budget: what the run may cost before it stops, to be resumed.
        computing: on what the models compute, and by what they answer.
        vllm: how vLLM is run, where it answers.
        server: which server is asked, where one answers.
        engine_sections: settings of engines from other packages, by the names of their sections.
        adapter: whether a LoRA adapter is trained instead of all weights.
        cluster: where else models answer and are judged.
    """

    method: Method
    model: str | Sequence[str]
    train_dataset: Data
    output_dir: str | Path
    eval_dataset: Data | None = None
    reward_funcs: Rewards | None = None
    reward_weights: Sequence[float] | None = None
    code: CodeConfig = CodeConfig()
    budget: BudgetConfig = BudgetConfig()
    engine_config: EngineConfig = EngineConfig()
    vllm: VllmConfig = VllmConfig()
    server: ServerConfig = ServerConfig()
    engine_sections: Mapping[str, Any] = field(default_factory=dict)
    adapter: AdapterConfig = AdapterConfig()
    cluster: RayConfig = RayConfig()
    training: TrainingConfig | None = None
    evaluation: EvalConfig | None = None
    monitor: MonitorConfig = MonitorConfig()
    prompt_config: PromptConfig = PromptConfig()
    max_train_samples: int | None = None
    max_eval_samples: int | None = None
    allow_overlap: bool = False
    model_revision: str = "main"
    seed: int = 42
    #: Everything as it was asked, for settings.yaml; the command line fills it in.
    settings_yaml: str = ""
    #: The command that can resume the run; none where it was asked for in Python.
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
            Record.refuse_taken(self.output_dir)
        names = names_of(self.method, self.model)
        self._check_engine()
        training, evaluation = self.training or self.method.training, self.evaluation or self.method.evaluation
        train, tests = self._load_data()
        parts = divide(train, tests, training.validation_size, self.prompt_config.num_fewshot, self.seed)
        if not self.method.needs_grader:
            parts = parts.without_answers(keep_validation=self.monitor.probe_labels)
        self._tell(train, tests, parts)
        stops = StopController(self.budget, f"go on with: selftrain resume {self.output_dir}")
        answer_cache = AnswerCache(stops.raise_if_stopping)
        with ExitStack() as open_until_done:
            ray = open_until_done.enter_context(open_cluster(self.cluster, self.progress.say))
            graders = open_until_done.enter_context(self._graders(train, parts, ray))
            graders.check(parts, self.progress)
            model_factory = self._loader(ray)
            seats = self._seats(model_factory, names, training)
            learners = load_learners(model_factory, names, answer_cache, seats, open_until_done)
            parts = self._drop_too_long(parts, learners)
            inputs = inputs_of(self.command, parts, names, self.settings_yaml or self._settings_text())
            record = open_until_done.enter_context(open_record(self.output_dir, inputs, answer_cache, resume))
            open_until_done.enter_context(self.progress.log_to(record.folder.path / "log.txt"))
            if resume:
                self.progress.say_all(f"unknown to the journal, set aside: {one}" for one in record.set_aside)
            if record.fact("described") is None:
                self._describe(record, train, tests, parts, learners, graders)
                record.finish("described", {})
            loop = RoundLoop(
                self.method, learners, parts, graders, training, evaluation, self.monitor, record, self.progress,
                self.seed, stops, self.engine_config.problems_at_once,
                cache(lambda: load_learners(model_factory, names, answer_cache, seats, open_until_done)),
            )  # fmt: skip
            with stops.listening():
                rounds = record.folder.rounds() if record.is_done else loop.run()
                return self._conclude(record, rounds, names)

    def _check_engine(self) -> None:
        usage = EngineUsage(
            several_weights=True,
            top_k=self.method.sampling.top_k,
            ray=self.cluster.ray,
            load_in_4bit=self.adapter.load_in_4bit,
        )
        check_engine(self.engine_config.engine, self._engine_sections, usage)

    @property
    def _engine_sections(self) -> Mapping[str, Any]:
        return {"vllm": self.vllm, "server": self.server, **self.engine_sections}

    def _loader(self, ray: RayBackend) -> ModelFactory:
        return ModelFactory(
            self.prompt_config,
            self.engine_config,
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
        return placement.seats

    def _graders(self, train: ProblemSet, parts: DataSplits, ray: RayBackend) -> AbstractContextManager[RunGraders]:
        return open_run_graders(
            self.method, train.grader, self.reward_funcs, self.reward_weights, self.monitor.probe_labels,
            parts.can_be_graded, self.code, ray,
        )  # fmt: skip

    def _load_data(self) -> tuple[ProblemSet, ProblemSet]:
        """A data set by name brings its own test split; one that is handed in may come with another."""
        if isinstance(self.train_dataset, ProblemSet) and isinstance(self.eval_dataset, ProblemSet):
            check_overlap(self.train_dataset, self.eval_dataset, allow=self.allow_overlap)
            return self.train_dataset, self.eval_dataset
        return load_data(
            self.train_dataset, self.eval_dataset, self.max_train_samples, self.max_eval_samples, self.allow_overlap,
            self.seed, require_answers=self.method.needs_grader,
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
        gone = {one for learner in learners for one in too_long(learner, prompts, length, self.prompt_config)}
        if gone:
            self.progress.say(f"data: {len(gone):,} problems are dropped, their prompts are too long")
        return parts.without(gone)

    def _describe(
        self, record: Record, train: ProblemSet, evaluation: ProblemSet, parts: DataSplits,
        learners: Sequence[Learner], graders: RunGraders,
    ) -> None:  # fmt: skip
        """Writes down everything that the run is, before it costs anything."""
        example = make_prompts(parts.train[:1], parts.few_shot)[0]
        record.write_text("settings.yaml", self.settings_yaml or self._settings_text())
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

    def _settings_text(self) -> str:
        """The settings of a run that was asked for in Python, in the names of the command line."""
        sections = (self.method, self.training or self.method.training, self.evaluation or self.method.evaluation,
                    self.monitor, self.prompt_config, self.code, self.budget, self.adapter, self.cluster,
                    self.engine_config, *self._engine_sections.values())  # fmt: skip
        flat = {key: value for section in sections for key, value in asdict(cast(Any, section)).items()}
        own = ("max_train_samples", "max_eval_samples", "allow_overlap", "model_revision", "seed")
        several = not isinstance(self.model, str)
        flat |= {"models" if several else "model_name_or_path": list(self.model) if several else self.model}
        flat |= {"output_dir": str(self.output_dir)}
        return yaml.safe_dump(flat | {name: getattr(self, name) for name in own}, sort_keys=False)

    def _conclude(self, record: Record, rounds: list[dict[str, Any]], names: Mapping[str, str]) -> Result:
        best = best_round(rounds)
        record.point_best(best, names)
        write_report(record, best)
        record.finish("done", {"best": best})
        record.forget_answers(range(self.method.num_rounds + 1))
        return Result(record.folder.path, tuple(record.folder.rounds()), best)


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
