"""Checks before a run costs anything."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from selftrain.errors import DataError, RunError, SettingsError
from selftrain.evaluation.power import LOST, smallest_gain
from selftrain.evaluation.verifier import gap_answers
from selftrain.loop.learner import Learner
from selftrain.loop.run import Run, RunSettings
from selftrain.methods.base import Method
from selftrain.models.placement import WEIGHT
from selftrain.models.prompts import PromptConfig, make_prompts
from selftrain.problems.splits import DataSplits
from selftrain.report.formatting import as_bytes
from selftrain.types import Prompt

#: Where only larger gains than this can be seen, more problems are advised; ours.
LARGE_GAIN = 0.10


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


def without_long_prompts(
    splits: DataSplits, learners: Sequence[Learner], max_completion_length: int, config: PromptConfig
) -> DataSplits:
    """
    Raises:
        DataError: prompts leave no room for a response, and are not to be dropped.
    """
    prompts = make_prompts(splits.all, splits.few_shot)
    # The last of several models reads the responses of all others before it writes its own.
    prompts = [replace(prompt, peer_answers=("",) * (len(learners) - 1)) for prompt in prompts]
    length = max_completion_length * len(learners)
    return splits.without({i for learner in learners for i in too_long_problems(learner, prompts, length, config)})


@dataclass(frozen=True, kw_only=True)
class DiskNeed:
    """What a run's weights take on disk, in bytes: of a saved round, and what is trained of one model at most.

    DiskNeed(saved=29.7e9, largest=9.9e9, rounds=3)
    """

    saved: float
    largest: float
    #: Rounds whose weights are on disk together.
    rounds: int

    @classmethod
    def of(cls, saved: Sequence[float], settings: RunSettings, keep: str, trained: Sequence[float] = ()) -> DiskNeed:
        """
        Args:
            saved: bytes of the saved weights of each model.
            keep: as the setting `keep_weights`.
            trained: bytes of the trained weights of each model; by default all that are saved.
        """
        last = settings.method.num_rounds
        # The best round may be one more than those that are evaluated.
        rounds = len(evaluated_rounds(settings)) if keep == "all" else 2
        return cls(saved=sum(saved), largest=max(trained or saved), rounds=min(last, rounds))

    @property
    def in_training(self) -> float:
        """Weights, two moments each, and the best epoch; the newest state replaces the one before when complete."""
        return 8 * self.largest

    @property
    def peak(self) -> float:
        return self.rounds * self.saved + self.in_training

    def check(self, folder: Path, keep: str) -> str:
        """A line that says it, with what is free.

        Raises:
            RunError: it does not fit.
        """
        there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
        free = shutil.disk_usage(there).free
        states = f"{as_bytes(self.in_training)} for states of a training"
        needs = f"{as_bytes(self.peak)}: {self.rounds} x {as_bytes(self.saved)} of weights, {states}"
        if self.peak > free:
            fewer = keep == "all" and self.rounds > 2
            raise RunError(
                f"{there}: {as_bytes(free)} are free",
                f"the run needs up to {needs}",
                f"free some, or give another --output_dir{', or --keep_weights best or last' if fewer else ''}",
            )
        return f"disk: at most {needs}; {as_bytes(free)} are free"


def check_models(
    models: Iterable[str],
    settings: RunSettings,
    *,
    revision: str,
    keep: str,
    folder: Path | None,
) -> None:
    """That there are such models, and room for the weights of all rounds that are kept.

    Args:
        models: folders or hub ids.
        keep: as the setting `keep_weights`.
        folder: of the run; None where its weights are few, or there already.

    Raises:
        ModelError: there is no such model.
        RunError: its weights do not fit on the disk.
    """
    from selftrain.models.loading import count_parameters

    saved = [WEIGHT * count_parameters(model, revision) for model in models]
    if folder is not None:
        DiskNeed.of(saved, settings, keep).check(folder, keep)


def evaluated_rounds(settings: RunSettings) -> list[int]:
    """Round 0, the base model, is the first."""
    last = settings.method.num_rounds
    return [number for number in range(last + 1) if settings.evaluation.evaluates(number, last)]


def power_line(run: Run) -> str:
    """The smallest gain that the evaluation can show; "" where accuracy cannot be measured."""
    if not run.splits.can_be_graded:
        return ""
    problems, models = len(run.splits.evaluation), len(run.learners)
    comparisons = models * (len(evaluated_rounds(run.settings)) - 1)
    gain = smallest_gain(problems, comparisons)
    several = f" in one of {comparisons} comparisons" if comparisons > 1 else ""
    found = f"a gain of {100 * gain:.1f} points or more" if gain < 1 else "no gain at all"
    line = f"evaluation: with {problems:,} problems {found} is found in four of five runs that have it{several}"
    few = "; more with --eval_size, --max_eval_samples or another test set" if gain > LARGE_GAIN else ""
    return f"{line} (greedy, paired, {100 * LOST:.0f} % of the problems lost at the same time){few}"


def gv_gap_lines(run: Run) -> list[str]:
    """What the generator-verifier gap will cost; none where it is not measured."""
    config, splits = run.settings.evaluation, run.splits
    if not (config.gv_gap and splits.can_be_graded):
        return []
    each, length = gap_answers(len(splits.evaluation), config), run.settings.method.sampling.max_completion_length
    models, rounds = len(run.learners), len(evaluated_rounds(run.settings))
    scored = " and judged by the model itself" if config.gv_gap_verifier == "mc" else ""
    return [
        f"generator-verifier gap: {each * models * rounds:,} answers of up to {length:,} tokens{scored}, "
        f"{each:,} for each of {models} models in each of {rounds} evaluated rounds; fewer with --gv_gap_problems, "
        "--gv_gap_generations or --eval_rounds, none with --gv_gap false"
    ]
