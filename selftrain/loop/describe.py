"""Writes down what a run is made of, before it costs anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selftrain.config import Resolved
from selftrain.graders import Grader
from selftrain.loop.learner import Learner
from selftrain.loop.preflight import gv_gap_lines, power_line
from selftrain.loop.run import Run
from selftrain.models.prompts import make_prompts
from selftrain.problems import ProblemSet
from selftrain.problems.splits import RunData
from selftrain.report.visible import visible
from selftrain.storage.derived_files import as_json
from selftrain.storage.environment import environment
from selftrain.types import Prompt


def describe(run: Run, data: RunData, settings: Resolved) -> None:
    """Into settings.yaml, environment.json and the log."""
    record, progress, grader = run.context.record, run.context.progress, run.graders.evaluation_grader
    (example,) = make_prompts(run.splits.train[:1], run.splits.few_shot)
    sets = {"train": data.train, "evaluation": data.evaluation}
    facts = facts_of(run.learners, example, grader, sets)
    record.describe({"settings.yaml": settings.to_yaml(), "environment.json": as_json(facts)})
    if grader.warning:
        progress.say(grader.warning)
    progress.say_all([*filter(None, [power_line(run)]), *gv_gap_lines(run)])
    for learner in run.learners:
        progress.say_all(learner_lines(learner, example, settings.to_dict()))


def facts_of(
    learners: Sequence[Learner], example: Prompt, grader: Grader, sets: Mapping[str, ProblemSet]
) -> dict[str, Any]:
    """For environment.json: versions, and what answers, is shown and grades."""
    return environment() | {
        "models": {learner.name: learner.base for learner in learners},
        "engines": {learner.name: learner.engine.description for learner in learners},
        "loading": {learner.name: list(learner.origin.notes) for learner in learners},
        "shipped_generation_settings": {learner.name: dict(learner.origin.shipped) for learner in learners},
        "prompt_examples": {learner.name: learner.engine.prompt_text(example) for learner in learners},
        "grader": {"name": grader.name} | grader.metadata,
        **{
            name: {"name": problems.name, "mapping": problems.mapping, "warnings": problems.warnings}
            for name, problems in sets.items()
        },
    }


def learner_lines(learner: Learner, example: Prompt, settings: Mapping[str, Any]) -> list[str]:
    """How the model came, what generates, and what it is shown."""
    return [
        *learner.origin.lines(learner.name, settings),
        f"{learner.name} is sampled by {learner.engine.description}",
        f"a whole prompt of {learner.name}:\n{visible(learner.engine.prompt_text(example))}",
    ]


def data_mapping(problems: ProblemSet) -> list[str]:
    """How a set was read."""
    return [f"data: {line}" for line in (f"{len(problems):,} problems", *problems.mapping, *problems.warnings)]


def data_lines(data: RunData) -> list[str]:
    """How the data was read, and how many problems there are."""
    train, evaluation, splits = data.train, data.evaluation, data.splits
    other = [line for line in (*evaluation.mapping, *evaluation.warnings) if line not in train.mapping]
    lines = [*train.mapping, *train.warnings, *(f"evaluation: {line}" for line in other)]
    counts = (
        f"{len(splits.train):,} problems to train on, {len(splits.validation):,} to validate on, "
        f"{len(splits.evaluation):,} to evaluate on"
    )
    return [f"data: {line}" for line in (*lines, counts)]
