"""The problems of a run, and how they are divided."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selftrain.errors import DataError
from selftrain.problems import ProblemSet, check_overlap, known_datasets, load_problems
from selftrain.problems.config import DataConfig
from selftrain.types import Problem

Data = str | Path | ProblemSet | Iterable[Mapping[str, Any]]

#: Share of the problems that is evaluated on where the data has no test split; ours.
HELD_OUT = 0.1
#: Evaluation problems are drawn by this seed whatever the run's: runs that differ in their seed are measured alike.
EVALUATION_SEED = 0


@dataclass(frozen=True)
class DataSplits:
    """The problems of a run, no problem in two parts.

    `train` is sampled for data; `validation` (D_val) decides early stopping and the best round; `evaluation` is
    what the report speaks of, and decides nothing; `few_shot` are the worked examples of the prompt.
    """

    train: tuple[Problem, ...]
    validation: tuple[Problem, ...]
    evaluation: tuple[Problem, ...]
    few_shot: tuple[tuple[str, str], ...] = ()

    @property
    def all(self) -> tuple[Problem, ...]:
        return (*self.train, *self.validation, *self.evaluation)

    @property
    def can_be_graded(self) -> bool:
        """Whether any evaluation problem has an answer; without, accuracy cannot be told."""
        return any(problem.reference is not None for problem in self.evaluation)

    def without_answers(self, keep_validation: bool) -> DataSplits:
        """For methods that need no judge: neither answers nor solutions of what is learnt from can be looked at.

        Args:
            keep_validation: leave those of D_val, for a watch that may use them.
        """

        def bare(problems: Sequence[Problem]) -> tuple[Problem, ...]:
            return tuple(Problem(p.id, p.question) for p in problems)

        validation = self.validation if keep_validation else bare(self.validation)
        return replace(self, train=bare(self.train), validation=validation)

    def without(self, ids: set[str]) -> DataSplits:
        """
        Raises:
            DataError: nothing would be left to learn from or to evaluate on.
        """

        def rest(problems: Sequence[Problem]) -> tuple[Problem, ...]:
            return tuple(p for p in problems if p.id not in ids)

        parts = DataSplits(rest(self.train), rest(self.validation), rest(self.evaluation), self.few_shot)
        if not parts.train or not parts.evaluation:
            raise DataError("no problem is left once those with too long prompts are dropped")
        return parts


def load_data(
    train_data: Data, eval_data: Data | None, config: DataConfig, *, seed: int, require_answers: bool = True
) -> tuple[ProblemSet, ProblemSet]:
    """Training problems and evaluation problems.

    Without `eval_data` the latter are the test split where the data has one of its own, else a tenth of the problems.

    Raises:
        DataError: the data cannot be read, or training problems are in the evaluation set.
    """
    known = isinstance(train_data, str) and train_data in known_datasets()
    max_train, max_eval, test_split = config.max_train_samples, config.max_eval_samples, config.dataset_test_split
    reading = {**config.columns, "require_answers": require_answers}
    train_split = config.dataset_train_split
    if eval_data is None and (known or test_split is not None):
        eval_data, test_split = train_data, test_split or "test"
    if eval_data is not None:
        train = _load(train_data, train_split, max_train, seed, **reading)
        evaluation = _load(eval_data, test_split, max_eval, EVALUATION_SEED, **reading)
    else:
        # Held out of all problems before any limit: fewer training problems are not fewer evaluation problems.
        train, evaluation = _load(train_data, train_split, None, seed, **reading).split_off(HELD_OUT, seed)
        train = train if max_train is None else train.take(max_train, seed)
        evaluation = evaluation if max_eval is None else evaluation.take(max_eval, EVALUATION_SEED)
    check_overlap(train, evaluation, allow=config.allow_overlap)
    return train, evaluation


def _load(data: Data, split: str | None, max_problems: int | None, seed: int, **reading: Any) -> ProblemSet:
    if isinstance(data, ProblemSet):
        return data if max_problems is None else data.take(max_problems, seed)
    return load_problems(data, split=split, max_problems=max_problems, seed=seed, **reading)


def divide(
    train: ProblemSet, evaluation: ProblemSet, validation_size: float, num_fewshot: int, seed: int
) -> DataSplits:
    """Worked examples and D_val leave the training problems; neither is ever sampled for data.

    Args:
        validation_size: a share below 1, or a number of problems; 0 for no D_val.

    Raises:
        DataError: fewer problems have a human solution than are to be shown.
    """
    train, few_shot = _worked_examples(train, num_fewshot, seed) if num_fewshot else (train, ())
    validation: Sequence[Problem] = ()
    if validation_size:
        train, validation = train.split_off(validation_size if validation_size < 1 else int(validation_size), seed)
    return DataSplits(tuple(train), tuple(validation), tuple(evaluation), few_shot)


def _worked_examples(train: ProblemSet, count: int, seed: int) -> tuple[ProblemSet, tuple[tuple[str, str], ...]]:
    solved = [p for p in train if p.solution]
    if len(solved) < count:
        raise DataError(
            f"num_fewshot is {count}, and {len(solved)} problems of {train.name} have a human solution",
            "worked examples can only be taken from such problems",
            "lower --num_fewshot, or use data with a solution column",
        )
    shown = random.Random(f"{seed}/shots").sample(solved, count)
    taken = {p.id for p in shown}
    rest = replace(train, problems=tuple(p for p in train if p.id not in taken))
    return rest, tuple((p.question, p.solution or "") for p in shown)


def problems_of_round(problems: Sequence[Problem], wanted: int | None, number: int, seed: int) -> Sequence[Problem]:
    """All, or the next ones of a pass in which each is asked once, in a drawn order; `number` counts rounds from 1."""
    if wanted is None or wanted >= len(problems):
        return problems
    # The last ones of a pass, too few for a round, wait for the next pass, which has another order.
    each_pass = len(problems) // wanted
    this_pass, place = divmod(number - 1, each_pass)
    order = random.Random(f"{seed}/round {this_pass}/pass").sample(range(len(problems)), len(problems))
    return tuple(problems[at] for at in order[place * wanted : (place + 1) * wanted])
