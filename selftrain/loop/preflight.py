"""Checks before a run costs anything."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from selftrain.errors import DataError, RunError, SettingsError
from selftrain.evaluation.verifier import gap_answers
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
    last, evaluated = settings.method.num_rounds, _evaluated_rounds(run)
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


def gv_gap_lines(run: Run) -> list[str]:
    """What the generator-verifier gap will cost; none where it is not measured."""
    config, splits = run.settings.evaluation, run.splits
    if not (config.gv_gap and splits.can_be_graded):
        return []
    each, length = gap_answers(len(splits.evaluation), config), run.settings.method.sampling.max_completion_length
    models, rounds = len(run.learners), 1 + _evaluated_rounds(run)
    scored = " and judged by the model itself" if config.gv_gap_verifier == "mc" else ""
    return [
        f"generator-verifier gap: {each * models * rounds:,} answers of up to {length:,} tokens{scored}, "
        f"{each:,} for each of {models} models in each of {rounds} evaluated rounds; fewer with --gv_gap_problems, "
        "--gv_gap_generations or --eval_rounds, none with --gv_gap false"
    ]


def _evaluated_rounds(run: Run) -> int:
    """Without round 0."""
    last, every = run.settings.method.num_rounds, run.settings.evaluation.eval_rounds
    return sum(number == last or number % every == 0 for number in range(1, last + 1))
