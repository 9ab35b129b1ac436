"""The settings that belong to no single room: which model, which data, which judge, where to."""

from __future__ import annotations

from typing import Literal

from selftrain.config import config_dataclass, required, setting


@config_dataclass
class LoadingConfig:
    """Which models, however many: `all` of the sections below."""

    model_revision: str = setting("main", "branch, tag or commit on the hub", source="TRL")

    @property
    def all(self) -> tuple[str, ...]:
        raise NotImplementedError


@config_dataclass
class ModelConfig(LoadingConfig):
    model_name_or_path: str = required("a local folder or a hub id", example="Qwen/Qwen2.5-0.5B")

    @property
    def all(self) -> tuple[str, ...]:
        return (self.model_name_or_path,)


@config_dataclass
class PeerModelsConfig(LoadingConfig):
    models: tuple[str, ...] = required(
        "two or more local folders or hub ids", example="google/gemma-2-2b meta-llama/Llama-3.2-1B Qwen/Qwen2.5-1.5B"
    )

    @property
    def all(self) -> tuple[str, ...]:
        return self.models


@config_dataclass
class DataConfig:
    dataset_name: str = required(
        "a known name (gsm8k, math, ...), a local file or folder, or a hub id", example="gsm8k"
    )
    dataset_config: str | None = setting(None, "configuration on the hub, where the data set has several", source="TRL")
    dataset_train_split: str | None = setting(None, "split to learn from; 'train' where there is one", source="TRL")
    dataset_test_split: str | None = setting(None, "split to evaluate on; 'test' where there is one", source="TRL")
    eval_dataset_name: str | None = setting(
        None, "another data set to evaluate on; by default the test split, or a tenth of the problems held out"
    )
    question_column: str | None = setting(None, "column of the question, where it is not found by itself")
    answer_column: str | None = setting(None, "column of the answer, where it is not found by itself")
    id_column: str | None = setting(None, "column of ids; by default the place in the file")
    max_train_samples: int | None = setting(None, "learn from so many problems at most", source="Hugging Face examples")
    max_eval_samples: int | None = setting(None, "evaluate on so many problems at most", source="Hugging Face examples")
    allow_overlap: bool = setting(False, "go on although training problems stand in the evaluation set")


@config_dataclass
class RewardConfig:
    reward_funcs: tuple[str, ...] = setting(
        (),
        "judges: 'math', 'choice', 'exact', 'code', module:function of any TRL reward function, or a control: "
        "'always_one', 'majority', 'shuffled' ('shuffled:choice' where 'choice' judges); by default the data set's "
        "own. Evaluations are judged by the same, but never by a control",
    )
    reward_weights: tuple[float, ...] | None = setting(None, "weight of each judge; all 1 by default", source="TRL")


@config_dataclass
class RunConfig:
    output_dir: str = required("the run's folder; it must not hold anything yet", example="runs/first")
    seed: int = setting(42, "all chance in the run comes from it", source="transformers")
    profile: Literal["recommended", "faithful", "faithful_v1"] = setting(
        "recommended",
        "'faithful' keeps as close to the paper as the paper allows, 'faithful_v1' to its first version, where the "
        "method has such a profile; see docs/papers.md",
    )
    json: bool = setting(False, "print the result as JSON on standard output")


@config_dataclass
class DemoConfig:
    """All figures here are ours, chosen so that a demo ends within minutes on two cores."""

    method: Literal["rest-em", "sept", "pst"] = setting("rest-em", "which method to show; pst takes all seed models")
    output_dir: str = setting("runs/demo", "the run's folder; a number is added where it is taken")
    seed: int = setting(42, "all chance in the run comes from it")
    model_name: Literal["llama", "qwen2", "gemma2"] = setting("llama", "which of the seed models, where one learns")
    num_rounds: int | None = setting(None, "rounds of sampling and training; by default what the method needs")
    max_train_samples: int | None = setting(
        None, "made-up problems to learn from, D_val among them; by default what the method needs"
    )
    max_eval_samples: int | None = setting(None, "made-up problems to evaluate on; by default what the method needs")
    reward_funcs: tuple[str, ...] = setting(
        ("math",), "rest-em only; 'always_one' with --deduplicate off is the control without a checker"
    )
    deduplicate: Literal["exact", "off"] = setting("exact", "rest-em only; 'off' keeps repeated texts of a problem")
    json: bool = setting(False, "print the result as JSON on standard output")


@config_dataclass
class EvalCommandConfig:
    max_completion_length: int = setting(1024, "tokens an answer may have")
    baseline: str | None = setting(None, "another model to compare with, pair by pair: a local folder or a hub id")
    output_dir: str | None = setting(None, "keep the answers in this folder; by default only figures are printed")
    seed: int = setting(42, "all chance comes from it", source="transformers")
    json: bool = setting(False, "print the result as JSON on standard output")


@config_dataclass
class ResumeConfig:
    run: str = required("the run's folder", example="runs/first", positional=True)
    set: tuple[str, ...] = setting(
        (),
        "settings that are to change, as name=value; those that would make it another run are refused",
    )
    json: bool = setting(False, "print the result as JSON on standard output")


@config_dataclass
class ForkConfig:
    run: str = required("the folder of the run whose finished rounds are shared", example="runs/first", positional=True)
    output_dir: str = required("the folder of the new run", example="runs/second")
    set: tuple[str, ...] = setting((), "settings that change from here on, as name=value")
    round: int | None = setting(None, "go on after this round; by default the newest whose weights are saved")
    json: bool = setting(False, "print the result as JSON on standard output")


@config_dataclass
class CheckConfig:
    run: str = required("the run's folder", example="runs/first", positional=True)
    repair: bool = setting(False, "mend what can be mended; what is damaged is set aside, never deleted")
    json: bool = setting(False, "print as JSON")


@config_dataclass
class SamplesConfig:
    run: str = required("the run's folder", example="runs/first", positional=True)
    sql: str = setting(
        "select model, round, count(*) as drawn, count(*) filter (kept) as kept, avg(reward) as mean_reward "
        "from samples group by all order by all",
        "a query over the tables samples, evaluations, problems and rounds",
        positional=True,
    )
    json: bool = setting(False, "print rows as JSON, one a line")


@config_dataclass
class GradeConfig:
    judge: str = setting("math", "'math', 'choice', 'exact' or 'code'")
    input: str = required(
        "JSON lines with the texts `gold` and `prediction`; for code the row of a task as `problem`, and `program`",
        example="answers.jsonl",
    )
    output: str = required("where the graded lines go; nothing may be there yet", example="graded.jsonl")
    strictness: Literal["strict", "lenient", "both"] = setting(
        "strict", "math only: which verdict counts; 'both' adds `verdict_lenient` to the strict one"
    )
    json: bool = setting(False, "print the counts as JSON")


@config_dataclass
class AuditConfig:
    run: str = required("the run's folder", example="runs/first", positional=True)
    max_answers: int = setting(1000, "look at so many answers at most, drawn by chance", ge=1)
    examples: int = setting(5, "show so many answers of each kind of disagreement", ge=0)
    to_label: str | None = setting(None, "write answers to this file, JSON lines whose `label` waits for true or false")
    num_to_label: int = setting(100, "so many answers, as many of each kind of disagreement as there are", ge=1)
    labels: str | None = setting(None, "that file with labels filled in: gives the judge's error rates")
    seed: int = setting(42, "which answers are looked at comes from it")
    json: bool = setting(False, "print the figures as JSON")


@config_dataclass
class SandboxConfig:
    profile: Literal["pure", "files", "procs"] = setting(
        "pure", "what programs may do: 'pure' compute only, 'files' also use a scratch folder, 'procs' start processes"
    )
    json: bool = setting(False, "print as JSON")


@config_dataclass
class EnvConfig:
    json: bool = setting(False, "print as JSON")


@config_dataclass
class SizeConfig:
    method: str = required("method of the run", example="rest-em", positional=True)
    recipe: str | None = setting(None, "YAML file of the run's settings, as for --config of the run itself")
    set: tuple[str, ...] = setting((), "settings of the run, as name=value; they override the recipe")
    params: tuple[float, ...] = setting(
        (7e9,), "weights of the model; one number per model where several models learn", gt=0, min_items=1
    )
    gpus: int = setting(1, "GPUs that the run's work is spread over", ge=1)
    problems: int = setting(7500, "training problems, validation problems included", source="MATH", ge=1)
    eval_problems: int = setting(500, "evaluation problems", source="MATH-500", ge=1)
    json: bool = setting(False, "print as JSON")
