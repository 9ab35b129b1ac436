"""One model of one run, among several that are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from selftrain.report.findings import Tested
from selftrain.report.history import RunHistory
from selftrain.report.measured_alike import Conditions, GreedyAnswers, graded_unlike
from selftrain.storage import RunFolder


@dataclass(frozen=True)
class ReportedRun:
    folder: RunFolder
    history: RunHistory

    @cached_property
    def conditions(self) -> Conditions:
        return Conditions.of(self.folder)


@dataclass(frozen=True)
class RunLine:
    """One model of one run, in the round that its run reports. p is Holm-corrected for the whole column."""

    run: ReportedRun
    #: Of the run, and of the model where a run has several.
    name: str
    model: str
    round: int
    greedy: GreedyAnswers = field(repr=False)
    #: None where its base or the round was not evaluated.
    gain: Tested | None = None
    #: Against the first run; None of that itself, and where nothing can be paired.
    beside: Tested | None = None

    @property
    def is_kept(self) -> bool:
        """Whether validation kept this round, and it gained."""
        return self.gain is not None and self.gain.outcome == "better" and self.run.history.best_round != 0

    @property
    def answers(self) -> Mapping[str, float]:
        """Question with its gold answer -> whether the greedy answer was right."""
        return self.greedy.right

    def graded_like(self, other: RunLine) -> bool:
        """Whether what is right in one is right in the other, as far as is known."""
        graders = {line.run.conditions.grader for line in (self, other)} - {""}
        return self.run is other.run or (len(graders) < 2 and not graded_unlike(self.greedy, other.greedy)[0])


def of_first(line: RunLine, lines: Sequence[RunLine]) -> RunLine | None:
    """The same model of the first run; of runs with one model each that, whatever its name, and of evaluations."""
    own = [one for one in lines if one.run is lines[0].run]
    alone = len(own) == 1 and (len(line.run.history.models) == 1 or line.run.history.of_models)
    return own[0] if alone else next((one for one in own if one.model == line.model), None)
