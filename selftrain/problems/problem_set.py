"""A dataset's problems, and how to divide them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import overload

from selftrain.errors import DataError, SettingsError
from selftrain.problems.columns import GraderName
from selftrain.problems.overlap import question_key
from selftrain.types import Problem


@dataclass(frozen=True)
class ProblemSet(Sequence[Problem]):
    """ProblemSet(name="gsm8k/train", problems=(Problem(id="gsm8k/train/0", ...), ...), grader="math",
    mapping=("question <- question", "reference <- answer (what follows the last ####)"),
    warnings=("2 questions occur more than once",))
    """

    name: str
    problems: tuple[Problem, ...] = field(repr=False)
    grader: GraderName = "math"
    #: Which column became what, one line each.
    mapping: tuple[str, ...] = ()
    #: What is unusual but no error, counted.
    warnings: tuple[str, ...] = ()
    #: What the user calls it, for messages; empty where that is `name`.
    source: str = ""
    #: What `take` left out of the same data: only worked examples are made of them.
    left_out: tuple[Problem, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.problems)

    @overload
    def __getitem__(self, index: int) -> Problem: ...
    @overload
    def __getitem__(self, index: slice) -> ProblemSet: ...
    def __getitem__(self, index: int | slice) -> Problem | ProblemSet:
        if isinstance(index, slice):
            return replace(self, problems=self.problems[index])
        return self.problems[index]

    def take(self, n: int, seed: int = 0) -> ProblemSet:
        """`n` random problems, in their own order; all of them if there are no more.

        The choice depends on the ids and the seed, not on the order of the data.

        Raises:
            SettingsError: `n` is below 1.
        """
        if n < 1:
            raise SettingsError(f"{n} problems are requested.", "A run needs at least one.", "Ask for 1 or more.")
        chosen = {problem.id for problem in sorted(self.problems, key=lambda p: _rank(p.id, seed))[:n]}
        taken = tuple(problem for problem in self.problems if problem.id in chosen)
        others = tuple(problem for problem in self.problems if problem.id not in chosen)
        return replace(self, problems=taken, left_out=(*self.left_out, *others))

    def split_off(self, fraction_or_count: float, seed: int = 0) -> tuple[ProblemSet, ProblemSet]:
        """(rest, held out), disjoint and in the order of the data.

        The choice depends on the ids and the seed, not on the order. Problems with the same question stay together, so
        the two sides share none; if that makes the exact size impossible, fewer are held out.

        Args:
            fraction_or_count: an int counts problems, a float is a share.

        Raises:
            SettingsError: a side would be empty.
            DataError: so many problems have the same question that none can be held out.
        """
        share = isinstance(fraction_or_count, float)
        size = max(1, round(fraction_or_count * len(self))) if share else int(fraction_or_count)
        if fraction_or_count <= 0 or size >= len(self):
            raise SettingsError(
                f"{fraction_or_count:g} of the {len(self):,} problems of {self.source or self.name} are to be held out",
                "one side would have no problem then",
                "give a share between 0 and 1, or a number below that of the problems, as --validation_size, or as "
                "--eval_size for evaluation"
                if len(self) > 1
                else "give more problems",
            )
        groups: dict[str, list[str]] = defaultdict(list)
        for problem in self.problems:
            groups[question_key(problem.question)].append(problem.id)
        chosen: set[str] = set()
        for ids in sorted(groups.values(), key=lambda ids: min(_rank(problem_id, seed) for problem_id in ids)):
            if len(chosen) + len(ids) <= size:
                chosen.update(ids)
        if not chosen:
            largest = max(map(len, groups.values()))
            raise DataError(
                f"{largest:,} of the {len(self):,} problems of {self.source or self.name} have the same question, and "
                f"{size:,} are to be held out",
                "a question stands on one side alone, or the model would be tested on what it was trained on",
                "remove repeated rows, or check --question_column",
            )
        rest = tuple(problem for problem in self.problems if problem.id not in chosen)
        held_out = tuple(problem for problem in self.problems if problem.id in chosen)
        return replace(self, problems=rest), replace(self, problems=held_out)


def _rank(problem_id: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}/{problem_id}".encode(), digest_size=16).digest()
