"""From settings to a run: loads model, data and judge, checks everything that can be checked, starts the loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from selftrain.data import Data, Parts, divide, load_data
from selftrain.errors import DataError
from selftrain.evaluation import Evaluation
from selftrain.grading import CONTROLS, Judge, RewardFunctionJudge, open_judge, self_test
from selftrain.learner import Learner
from selftrain.learning.base import Learning
from selftrain.methods.base import Method
from selftrain.problems import ProblemSet, refuse_overlap
from selftrain.progress import Progress
from selftrain.prompts import Prompting, make_prompts
from selftrain.record import RunFolder, environment
from selftrain.report.visible import visible
from selftrain.run import Loop
from selftrain.run_report import write_report
from selftrain.types import Problem, Prompt

Rewards = str | Callable[..., Any] | Sequence[str | Callable[..., Any]]


@dataclass(frozen=True)
class Result:
    """What a run came to. `rounds` are the lines of rounds.jsonl, round 0 first."""

    output_dir: Path
    rounds: tuple[dict[str, Any], ...]
    best_round: int

    @property
    def best(self) -> Path:
        """Folder with the weights of the best round, for `from_pretrained`."""
        return self.output_dir / "best"

    @property
    def metrics(self) -> dict[int, dict[str, float]]:
        """Values by round: `result.metrics[2]["greedy"]`."""
        return {line["round"]: {name: one["value"] for name, one in line["metrics"].items()} for line in self.rounds}

    @property
    def samples(self) -> Any:
        """Every sample drawn for training, as a DuckDB relation: `.df()`, `.arrow()`, `.fetchall()`."""
        return RunFolder(self.output_dir).query("select * from samples")


@dataclass(frozen=True, kw_only=True)
class SelfTrainer:
    """One run: a method, a model, problems, an output folder.

    SelfTrainer(method=RestEM(num_rounds=2), model="Qwen/Qwen2.5-0.5B", train_dataset="gsm8k",
                output_dir="runs/first").train()

    Args:
        method: which method, with its settings.
        model: a local folder or a hub id.
        train_dataset: a known name, a file, a hub id, a `datasets.Dataset` or a list of dicts.
        eval_dataset: the same; by default the test split of a known set, else a tenth of the problems.
        reward_funcs: judge names or reward functions in TRL's form; by default the judge of the data set. Evaluations
            are judged by the same, or by the data set's own judge where it is a control such as "always_one".
        learning: how to train; by default what the method comes with.
    """

    method: Method
    model: str
    train_dataset: Data
    output_dir: str | Path
    eval_dataset: Data | None = None
    reward_funcs: Rewards | None = None
    reward_weights: Sequence[float] | None = None
    learning: Learning | None = None
    evaluation: Evaluation = Evaluation()
    prompting: Prompting = Prompting()
    max_train_samples: int | None = None
    max_eval_samples: int | None = None
    allow_overlap: bool = False
    model_revision: str = "main"
    device: str = "auto"
    bf16: bool = False
    sampling_batch_size: int = 128
    seed: int = 42
    #: Everything as it was asked, for settings.yaml; the command line fills it in.
    settings_yaml: str = ""
    progress: Progress = field(default_factory=Progress)

    def train(self) -> Result:
        """Runs all rounds.

        Raises:
            SelftrainError: something cannot work; the message says what, why and what to do.
        """
        RunFolder.refuse_taken(self.output_dir)
        learning = self.learning or self.method.learning
        train, evaluation = self._load_data()
        held_out = learning.validation_size if self.method.needs_judge else 0.0
        parts = divide(train, evaluation, held_out, self.prompting.num_fewshot, self.seed)
        self._tell(train, evaluation, parts)
        with ExitStack() as open_until_done:
            judge = open_until_done.enter_context(
                open_judge(self.reward_funcs or train.judge, reward_weights=self.reward_weights)
            )
            examiner = open_until_done.enter_context(open_judge(train.judge)) if judge.name in CONTROLS else judge
            check_judge(examiner, parts.all, self.progress)
            learner = load_learner(
                self.model, self.prompting, revision=self.model_revision, device=self.device, bf16=self.bf16,
                rows=self.sampling_batch_size,
            )  # fmt: skip
            open_until_done.callback(learner.close)
            parts = self._drop_too_long(parts, learner)
            folder = RunFolder.create(self.output_dir)
            self._describe(folder, train, evaluation, parts, learner)
            loop = Loop(
                self.method, [learner], parts, judge.grade, examiner.grade, learning, self.evaluation, folder,
                self.progress, self.seed,
            )  # fmt: skip
            rounds = loop.run()
        return self._conclude(folder, rounds, learner)

    def _load_data(self) -> tuple[ProblemSet, ProblemSet]:
        """A data set by name brings its own test split; one that is handed in may come with another."""
        if isinstance(self.train_dataset, ProblemSet) and isinstance(self.eval_dataset, ProblemSet):
            refuse_overlap(self.train_dataset, self.eval_dataset, allow=self.allow_overlap)
            return self.train_dataset, self.eval_dataset
        return load_data(
            self.train_dataset, self.eval_dataset, self.max_train_samples, self.max_eval_samples, self.allow_overlap,
            self.seed,
        )  # fmt: skip

    def _tell(self, train: ProblemSet, evaluation: ProblemSet, parts: Parts) -> None:
        for line in (*train.mapping, *train.warnings, *(f"evaluation: {w}" for w in evaluation.warnings)):
            self.progress.say(f"data: {line}")
        self.progress.say(
            f"data: {len(parts.train):,} problems to learn from, {len(parts.validation):,} to stop by (D_val), "
            f"{len(parts.evaluation):,} to evaluate on"
        )

    def _drop_too_long(self, parts: Parts, learner: Learner) -> Parts:
        """Prompts that leave no room for an answer end the run here, or are dropped where that was asked for."""
        prompts = make_prompts(parts.all, parts.shots)
        gone = too_long(learner, prompts, self.method.sampling.max_completion_length, self.prompting)
        if gone:
            self.progress.say(f"data: {len(gone):,} problems are dropped, their prompts are too long")
        return parts.without(gone)

    def _describe(
        self, folder: RunFolder, train: ProblemSet, evaluation: ProblemSet, parts: Parts, learner: Learner
    ) -> None:
        """Writes down everything that the run is, before it costs anything."""
        example = make_prompts(parts.train[:1], parts.shots)[0]
        folder.write_text("settings.yaml", self.settings_yaml or self._settings_text())
        folder.write_json(
            "environment.json",
            environment()
            | {
                "model": learner.base,
                "prompt_example": learner.engine.prompt_text(example),
                "train": {"name": train.name, "mapping": train.mapping, "warnings": train.warnings},
                "evaluation": {"name": evaluation.name, "mapping": evaluation.mapping, "warnings": evaluation.warnings},
            },
        )
        self.progress.say(f"the first prompt, whole:\n{visible(learner.engine.prompt_text(example))}")

    def _settings_text(self) -> str:
        """The settings of a run that was asked for in Python, in the names of the command line."""
        sections = (self.method, self.learning or self.method.learning, self.evaluation, self.prompting)
        flat = {key: value for section in sections for key, value in asdict(cast(Any, section)).items()}
        own = ("max_train_samples", "max_eval_samples", "allow_overlap", "model_revision", "device", "bf16",
               "sampling_batch_size", "seed")  # fmt: skip
        flat |= {"model_name_or_path": self.model, "output_dir": str(self.output_dir)}
        return yaml.safe_dump(flat | {name: getattr(self, name) for name in own}, sort_keys=False)

    def _conclude(self, folder: RunFolder, rounds: list[dict[str, Any]], learner: Learner) -> Result:
        """The best round is chosen on D_val, never on what the report speaks of.

        Of equal rounds it is the later one; but a round has to do better than the untouched model to be chosen. Without
        D_val it is the last round that trained.
        """
        untouched = rounds[0].get("validation")
        trained = [line for line in rounds if "learning" in line]
        better = [line for line in trained if untouched is None or line["validation"] > untouched]
        best = max((line.get("validation", 0.0), line["round"]) for line in better)[1] if better else 0
        folder.point_best(best, learner.base)
        write_report(folder, best)
        return Result(folder.path, tuple(rounds), best)


def check_judge(judge: Judge, problems: Sequence[Problem], progress: Progress) -> None:
    """Has the judge read every gold answer before anything is paid for.

    Raises:
        DataError: it can read none.
    """
    unread = self_test(judge, problems)
    # A reward function of the user's may well give a bare gold answer nothing, for example one that rewards length.
    if len(unread) == len(problems) and not isinstance(judge, RewardFunctionJudge):
        problem, reason = unread[0]
        raise DataError(
            f"the judge {judge.name!r} can read none of the {len(problems):,} gold answers; "
            f"the first is {problem.reference!r} of {problem.id}: {reason}",
            "no sample could ever be judged",
            "check --answer_column, or choose another judge with --reward_funcs",
        )
    for problem, reason in unread[:5]:
        progress.say(f"judge: cannot read the gold answer {problem.reference!r} of {problem.id}: {reason}")
    if unread:
        progress.say(
            f"judge: {len(unread):,} of {len(problems):,} gold answers cannot be read; "
            "answers to those problems stay unjudged, are never trained on and never counted"
        )


def load_learner(model: str, prompting: Prompting, *, revision: str, device: str, bf16: bool, rows: int) -> Learner:
    """A model with the engine and the trainer that share it."""
    # Here and not above: torch and transformers take seconds to import, and bad settings should not wait for them.
    from selftrain.engines.transformers import TransformersEngine
    from selftrain.learning.trainer import TransformersTrainer
    from selftrain.loading import load_model
    from selftrain.rendering import Renderer

    loaded = load_model(model, revision=revision, device=device)
    renderer = Renderer(loaded.tokenizer, prompting, loaded.stop_ids)
    engine = TransformersEngine(loaded.model, renderer, Path(model).name, rows, bf16=bf16)
    return Learner(engine, TransformersTrainer(loaded.model, renderer, bf16), model)


def too_long(learner: Learner, prompts: Sequence[Prompt], max_completion_length: int, prompting: Prompting) -> set[str]:
    """Ids of the problems whose prompts leave no room for an answer, where those are to be dropped.

    Raises:
        DataError: there are some and they are not to be dropped.
    """
    found = learner.engine.too_long(prompts, max_completion_length)
    if found and prompting.long_prompts == "error":
        worst = ", ".join(f"{problem_id} ({length:,} tokens)" for problem_id, length in found[:5])
        raise DataError(
            f"{len(found):,} of {len(prompts):,} prompts are too long: {worst}",
            f"with up to {max_completion_length:,} tokens of answer they exceed what {learner.base} has room for",
            "use --long_prompts drop, lower --max_completion_length, or show fewer worked examples",
        )
    return {problem_id for problem_id, _ in found}
