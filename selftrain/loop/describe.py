"""Writes down what a run is made of, before it costs anything."""

from __future__ import annotations

from selftrain.config import Resolved
from selftrain.loop.run import Run
from selftrain.models.prompts import make_prompts
from selftrain.problems.splits import RunData
from selftrain.report.visible import visible
from selftrain.storage.environment import environment


def describe(run: Run, data: RunData, settings: Resolved) -> None:
    """Into settings.yaml, environment.json and the log."""
    record, progress, grader = run.context.record, run.context.progress, run.graders.evaluation_grader
    (example,) = make_prompts(run.splits.train[:1], run.splits.few_shot)
    prompts = {learner.name: learner.engine.prompt_text(example) for learner in run.learners}
    record.write_text("settings.yaml", settings.to_yaml())
    record.write_json(
        "environment.json",
        environment()
        | {
            "models": {learner.name: learner.base for learner in run.learners},
            "engines": {learner.name: learner.engine.description for learner in run.learners},
            "prompt_examples": prompts,
            "grader": {"name": grader.name} | grader.metadata,
            **{
                name: {"name": problems.name, "mapping": problems.mapping, "warnings": problems.warnings}
                for name, problems in {"train": data.train, "evaluation": data.evaluation}.items()
            },
        },
    )
    if grader.warning:
        progress.say(grader.warning)
    for learner in run.learners:
        progress.say(f"{learner.name} is sampled by {learner.engine.description}")
        progress.say(f"a whole prompt of {learner.name}:\n{visible(prompts[learner.name])}")


def data_lines(data: RunData) -> list[str]:
    """How the data was read, and how many problems there are."""
    lines = [*data.train.mapping, *data.train.warnings, *(f"evaluation: {w}" for w in data.evaluation.warnings)]
    splits = data.splits
    counts = (
        f"{len(splits.train):,} problems to train on, {len(splits.validation):,} to validate on, "
        f"{len(splits.evaluation):,} to evaluate on"
    )
    return [f"data: {line}" for line in (*lines, counts)]
