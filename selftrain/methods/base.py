"""The contract of a method: one round, from problems to lessons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from selftrain.evaluation import Evaluation
from selftrain.learning.base import Learning
from selftrain.types import Lessons, Round, Sample, Sampling, TrainingExample


class Method(Protocol):
    """A frozen dataclass of settings and the page `collect`, which reads like the paper's algorithm box."""

    #: The word after `selftrain` on the command line.
    name: ClassVar[str]
    #: Paper and what it does, in a line.
    summary: ClassVar[str]
    #: Whether samples are judged. A method that needs no judge is given problems without references.
    needs_judge: ClassVar[bool]
    #: Whether several models learn together.
    needs_peers: ClassVar[bool]
    #: The settings of training the method comes with.
    learning: ClassVar[Learning]
    #: How its runs are evaluated.
    evaluation: ClassVar[Evaluation]

    @property
    def collects_by_problem(self) -> bool:
        """Whether what `collect` makes of a problem hangs on that problem alone, and it names no facts: then a round
        can be collected some problems at a time.
        """
        ...

    @property
    def num_rounds(self) -> int: ...

    @property
    def problems_per_round(self) -> int | None:
        """How many problems a round draws; None is all of them."""
        ...

    @property
    def sampling(self) -> Sampling: ...

    def collect(self, now: Round) -> Lessons: ...


def lessons_from(samples: Sequence[Sample], *names: str) -> Lessons:
    """Each kept sample is an example for the model that wrote it."""
    examples: dict[str, tuple[TrainingExample, ...]] = {}
    for name in names:
        examples[name] = tuple(
            TrainingExample(s.response.prompt, s.response.text, s.response.token_ids, s.weight, s.response.truncated)
            for s in samples
            if s.kept and s.response.model == name
        )
    return Lessons(tuple(samples), examples)
