"""The interface of a method: one round, from problems to training examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Protocol

from selftrain.config import Profiles
from selftrain.evaluation import EvalConfig
from selftrain.training.base import TrainingConfig
from selftrain.types import Collected, Round, Sample, SamplingParams, TrainingExample

#: Tokens of a response where nobody has chosen: the most that 'auto' gives without human solutions.
_LONGEST = 1024


class Method(Protocol):
    """A frozen dataclass of settings and the page `collect`, which reads like the paper's algorithm box."""

    #: The command: `selftrain <name>`.
    name: ClassVar[str]
    #: What it does, and the paper, in one line.
    summary: ClassVar[str]
    #: Sets of defaults for `--profile`, as flat settings; 'recommended' is what the dataclasses say.
    profiles: ClassVar[Profiles]
    #: Whether samples are graded. Without, the method is given problems without references.
    needs_grader: ClassVar[bool]
    #: Whether it trains several models together.
    needs_peers: ClassVar[bool]
    #: Its defaults of training and evaluation.
    training: ClassVar[TrainingConfig]
    evaluation: ClassVar[EvalConfig]

    @property
    def collects_by_problem(self) -> bool:
        """Whether the samples of a problem do not depend on the other problems, and there are no metrics: then a round
        can be collected in parts, some problems at a time.
        """
        ...

    @property
    def num_rounds(self) -> int: ...

    @property
    def num_generations(self) -> int:
        """Samples of each model for each problem, at most."""
        ...

    @property
    def problems_per_round(self) -> int | None:
        """How many problems a round uses; None for all."""
        ...

    @property
    def sampling(self) -> SamplingParams: ...

    def collect(self, round: Round) -> Collected:
        """One round of the paper's algorithm, without its training."""
        ...


def tokens_of(max_completion_length: int | Literal["auto"]) -> int:
    """A run chooses for the data set what is 'auto'; a method that is used by itself gets the longest."""
    return _LONGEST if max_completion_length == "auto" else max_completion_length


def collected_from(samples: Sequence[Sample], *names: str) -> Collected:
    """Every kept sample becomes an example for the model that generated it."""
    examples: dict[str, tuple[TrainingExample, ...]] = {}
    for name in names:
        examples[name] = tuple(
            TrainingExample(
                s.response.prompt, s.response.text, s.response.token_ids, s.weight, truncated=s.response.truncated
            )
            for s in samples
            if s.kept and s.response.model == name
        )
    return Collected(tuple(samples), examples)
