"""Checks before a run costs anything."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from selftrain.errors import DataError, RunError, SettingsError
from selftrain.loop.learner import Learner
from selftrain.loop.run import Run
from selftrain.methods.base import Method
from selftrain.models.prompts import PromptConfig
from selftrain.report.formatting import as_bytes
from selftrain.types import Prompt


def name_models(method: Method, model: str | Sequence[str]) -> dict[str, str]:
    """A unique name for each model -> its folder or hub id.

    Raises:
        SettingsError: more or fewer models than the method can use.
    """
    paths = [model] if isinstance(model, str) else list(model)
    if method.needs_peers and len(paths) < 2:
        raise SettingsError(
            f"{method.name} was given {len(paths)} model", "its models learn from one another", "give --models a b c"
        )
    if not method.needs_peers and len(paths) != 1:
        raise SettingsError(f"{method.name} was given {len(paths)} models", "it trains one", "give one model")
    names: dict[str, str] = {}
    for path in paths:
        name = Path(path).name or path
        count = sum(known == name or known.startswith(f"{name}-") for known in names)
        names[f"{name}-{count + 1}" if count else name] = path
    return names


def too_long_problems(
    learner: Learner, prompts: Sequence[Prompt], max_completion_length: int, config: PromptConfig
) -> set[str]:
    """Ids of the problems whose prompts leave no room for a response, where those are to be dropped.

    Raises:
        DataError: there are some and they are not to be dropped.
    """
    found = learner.engine.too_long(prompts, max_completion_length)
    if found and config.long_prompts == "error":
        first = ", ".join(f"{problem_id} ({length:,} tokens)" for problem_id, length in found[:5])
        raise DataError(
            f"{len(found):,} of {len(prompts):,} prompts are too long: {first}",
            f"with up to {max_completion_length:,} tokens of response they exceed the context of {learner.base}",
            "use --long_prompts drop, lower --max_completion_length, or show fewer worked examples",
        )
    return {problem_id for problem_id, _ in found}


def disk_line(run: Run) -> str:
    """What the run's weights will take on disk at most, and what is free.

    Raises:
        RunError: not even the weights of one round fit, with a state of their training.
    """
    settings, keep = run.settings, run.context.stops.budget.keep_weights
    saved = sum(learner.saved_bytes for learner in run.learners)
    last, every = settings.method.num_rounds, settings.evaluation.eval_rounds
    evaluated = sum(number == last or number % every == 0 for number in range(1, last + 1))
    # The best round may be one more.
    rounds = min(last, evaluated + 1) if keep == "all" else min(last, 2)
    # Weights, two moments each, and the best epoch; the newest state replaces the one before when it is complete.
    in_training = 8 * max(learner.saved_bytes for learner in run.learners)
    folder = run.context.record.folder.path
    free = shutil.disk_usage(folder).free
    needs = f"{as_bytes(saved)} of weights a saved round, {as_bytes(in_training)} for states of a training"
    if saved + in_training > free:
        raise RunError(
            f"{folder}: {as_bytes(free)} are free", f"the run needs {needs}", "free some, or give another --output_dir"
        )
    line = f"disk: at most {as_bytes(rounds * saved + in_training)} ({rounds} x {needs}); {as_bytes(free)} are free"
    full = keep == "all" and rounds * saved + in_training > free
    return f"{line}: too little for all rounds; --keep_weights best or last needs less" if full else line
