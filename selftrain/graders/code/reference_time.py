"""How long the problem's own solution takes: no program has less than three times that.

It is measured only for problems of which a program ran out of time, once for each group of tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from selftrain.graders.code.run_tests import Trial, run_trials
from selftrain.sandbox import Sandbox

#: Ours: a program has as many times what the reference takes.
_TIMES = 3
#: A reference that takes as many times the usual limit is not waited for.
_PATIENCE = 20


class ReferenceTimes:
    """Not thread-safe."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        #: The reference's trial by problem, and whether for its held-back tests.
        self._known: dict[tuple[str, bool], Trial] = {}

    def run_again(self, trials: Sequence[tuple[str, Trial]], weak_tests: Literal["exclude", "include"]) -> None:
        """Gives programs that ran out of time the time that their problem needs.

        Args:
            trials: with the ids of their problems.
        """
        late = {_key(problem_id, trial): trial for problem_id, trial in trials if _is_late(trial)}
        self._measure(late)
        again: list[Trial] = []
        for problem_id, trial in trials:
            if not _is_late(trial):
                continue
            reference = self._known[_key(problem_id, trial)]
            limit = _TIMES * reference.longest
            if reference.timed_out:
                trial.decide(None, f"{trial.reason}, but the problem's own solution takes over {reference.limit:g} s")
            elif reference.verdict and limit > self._sandbox.limits.seconds:
                trial.limit, trial.decided, trial.timed_out = limit, False, False
                again.append(trial)
        run_trials(again, self._sandbox, weak_tests)
        for trial in again:
            if trial.timed_out:
                trial.decide(False, f"{trial.reason}, {_TIMES} times what the problem's own solution takes")

    def _measure(self, late: Mapping[tuple[str, bool], Trial]) -> None:
        patience = _PATIENCE * self._sandbox.limits.seconds
        new = {
            key: Trial(str(trial.task.solution), trial.task, trial.tests, limit=patience)
            for key, trial in late.items()
            if key not in self._known
        }
        # A weak test is no reason to distrust the problem's own solution.
        run_trials([*new.values()], self._sandbox, "include")
        self._known |= new


def _is_late(trial: Trial) -> bool:
    return trial.timed_out and bool(trial.task.solution)


def _key(problem_id: str, trial: Trial) -> tuple[str, bool]:
    return problem_id, trial.tests is trial.task.held_back
