"""The contract of a method: one round, from problems to lessons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from selftrain.evaluation import EvalConfig
from selftrain.training.base import TrainingConfig
from selftrain.types import Collected, Round, Sample, SamplingParams, TrainingExample


class Method(Protocol):
    """A frozen dataclass of settings and the page `collect`, which reads like the paper's algorithm box."""

    #: The word after `selftrain` on the command line.
    name: ClassVar[str]
    #: Paper and what it does, in a line.
    summary: ClassVar[str]
    #: Whether samples are judged. A method that needs no judge is given problems without references.
    needs_grader: ClassVar[bool]
    #: Whether several models learn together.
    needs_peers: ClassVar[bool]
    #: The settings of training the method comes with.
    training: ClassVar[TrainingConfig]
    #: How its runs are evaluated.
    evaluation: ClassVar[EvalConfig]

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
    def sampling(self) -> SamplingParams: ...

    def collect(self, now: Round) -> Collected: ...


def collected_from(samples: Sequence[Sample], *names: str) -> Collected:
    """Each kept sample is an example for the model that wrote it."""
    examples: dict[str, tuple[TrainingExample, ...]] = {}
    for name in names:
        examples[name] = tuple(
            TrainingExample(s.response.prompt, s.response.text, s.response.token_ids, s.weight, s.response.truncated)
            for s in samples
            if s.kept and s.response.model == name
        )
    return Collected(tuple(samples), examples)
