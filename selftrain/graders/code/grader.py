"""The judge named "code": a program that a model wrote against the tests of its problem, in the sandbox."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace

from selftrain.graders.base import Grader, problem_of
from selftrain.graders.code.compare_values import same_output, same_value
from selftrain.graders.code.config import CodeConfig
from selftrain.graders.code.extract_program import method_or_function, program_of
from selftrain.graders.verdict_cache import VerdictCache
from selftrain.problems.code import Case, CodeTask, Tests, read_task
from selftrain.sandbox import CallJob, CheckJob, Limits, Outcome, Sandbox, StdinJob, open_sandbox, report_lines
from selftrain.types import Problem, Response, Score

#: Tasks and verdicts that are remembered: the samples of one problem come together, and many are the same text.
_TASKS, _VERDICTS = 1024, 65_536


@dataclass
class _Trial:
    """One program before one group of tests."""

    program: str
    task: CodeTask
    tests: Tests
    #: True, False, or None for unjudged, once it is known.
    verdict: bool | None = None
    reason: str = ""
    seconds: float = 0.0
    decided: bool = False
    cases: Iterator[Case] = field(init=False)

    def __post_init__(self) -> None:
        self.cases = iter(self.tests.cases)

    def decide(self, verdict: bool | None, reason: str) -> None:
        self.verdict, self.reason, self.decided = verdict, reason, True


class CodeGrader(Grader):
    """1.0 for a program that passes all tests that give reward, 0.0 for one that does not.

    None where our own machinery failed, where the tests cannot be read, or where only a weak test was passed. The
    verdict of the held-back tests on a rewarded program is `Score.extra_scores["held_back"]`; in evaluations both
    groups decide.

    Args:
        settings: how; see `CodeConfig`.
        programs_at_once: by default one for each processor.

    Raises:
        SandboxError: no sandbox holds on this machine (exit code 77).
    """

    scores_independently = True

    name = "code"

    def __init__(self, settings: CodeConfig | None = None, programs_at_once: int | None = None) -> None:
        self._settings = settings or CodeConfig()
        wall = self._settings.test_timeout
        self._sandbox: Sandbox = open_sandbox(
            allow_unsandboxed=self._settings.run_model_code == "unsandboxed",
            workers=programs_at_once,
            limits=Limits(wall_seconds=wall, cpu_seconds=wall + 0.5),
        )
        self._all_tests = False
        self._tasks: VerdictCache[str, CodeTask | str] = VerdictCache(_TASKS)
        self._verdicts: VerdictCache[tuple[str, str], Score] = VerdictCache(_VERDICTS)

    @property
    def facts(self) -> dict[str, str]:
        return {"sandbox": report_lines(self._sandbox)[0], "run_model_code": self._settings.run_model_code}

    @property
    def warning(self) -> str:
        if not self._sandbox.unsandboxed:
            return ""
        return "Model code was run UNSANDBOXED: it could have read and changed anything, its own verdict among it."

    def evaluation_grader(self) -> Grader:
        """The same, asking for all tests; it lives as long as this one."""
        evaluation_grader = copy(self)
        evaluation_grader._all_tests, evaluation_grader._verdicts = True, VerdictCache(_VERDICTS)
        return evaluation_grader

    def gold(self, problem: Problem) -> str | None:
        return None if problem.solution is None else f"```python\n{problem.solution}\n```"

    def close(self) -> None:
        self._sandbox.close()

    def grade(self, responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
        asked: list[Score | tuple[str, str]] = []
        new: dict[tuple[str, str], CodeTask] = {}
        for response in responses:
            problem = problem_of(response, problems)
            task = self._task(problem)
            if isinstance(task, str):
                asked.append(Score(None, None, task))
            elif (program := program_of(response.text, task)) is None:
                asked.append(Score(0.0, None, "no program found"))
            else:
                key = (problem.id, program)
                known = self._verdicts.get(key)
                asked.append(known or key)
                if known is None:
                    new[key] = task
        found = self._grader(new)
        # What failed on our side is not remembered: it may go better next time.
        self._verdicts.update({key: score for key, score in found.items() if score.value is not None})
        return [one if isinstance(one, Score) else found[one] for one in asked]

    def _task(self, problem: Problem) -> CodeTask | str:
        """The task, or why there is none."""
        known = self._tasks.get(problem.id)
        if known is None:
            try:
                known = read_task(problem.columns, self._settings.held_back_tests)
            except ValueError as error:
                known = f"the tests of {problem.id} cannot be read: {error}"
            self._tasks.update({problem.id: known})
        return known

    def _grader(self, programs: Mapping[tuple[str, str], CodeTask]) -> dict[tuple[str, str], Score]:
        trials = {key: _Trial(key[1], task, task.rewarded) for key, task in programs.items()}
        self._run(list(trials.values()))
        second = {
            key: _Trial(key[1], trial.task, trial.task.held_back)
            for key, trial in trials.items()
            if trial.verdict and trial.task.held_back
        }
        self._run(list(second.values()))
        return {key: self._score(key[1], trial, second.get(key)) for key, trial in trials.items()}

    def _score(self, program: str, first: _Trial, second: _Trial | None) -> Score:
        score = Score(_value(first.verdict), program, first.reason, first.seconds)
        if second is None:
            return score
        seconds = first.seconds + second.seconds
        if self._all_tests:
            return replace(score, value=_value(second.verdict), reason=second.reason, seconds=seconds)
        others = {} if second.verdict is None else {"held_back": float(second.verdict)}
        return replace(score, extra_scores=others, seconds=seconds)

    def _run(self, trials: Sequence[_Trial]) -> None:
        self._check([trial for trial in trials if trial.task.kind == "check"])
        self._call([trial for trial in trials if trial.task.kind == "call"])
        self._feed([trial for trial in trials if trial.task.kind == "stdin"])

    def _check(self, trials: Sequence[_Trial]) -> None:
        jobs = [CheckJob(t.program, t.task.entry_point or "", t.tests.code, t.task.opening) for t in trials]
        for trial, job, outcome in zip(trials, jobs, self._sandbox.check(jobs), strict=True):
            trial.seconds += outcome.seconds
            if outcome.status == "passed" and outcome.weak:
                self._believe(trial, job)
            else:
                trial.decide(*_verdict(outcome, "passed"))

    def _believe(self, trial: _Trial, job: CheckJob) -> None:
        """What a weak test says of a program that passed it."""
        if self._settings.weak_tests == "exclude":
            trial.decide(None, "passed a weak test, which asks for more than plain calls (--weak_tests)")
            return
        twin = self._sandbox.twin(job)
        trial.seconds += twin.seconds
        if twin.status == "passed":
            trial.decide(False, "also passes the test with its expected values shifted: a forgery")
        else:
            trial.decide(None if twin.status == "unjudged" else True, f"passed a weak test; its twin: {twin.status}")

    def _call(self, trials: Sequence[_Trial]) -> None:
        jobs = [
            CallJob(t.program, method_or_function(t.program, str(t.task.entry_point)), [c.given for c in t.tests.cases])
            for t in trials
        ]
        for trial, outcome in zip(trials, self._sandbox.call(jobs), strict=True):
            trial.seconds += outcome.seconds
            trial.decide(*_verdict(outcome, "ran"))
            if trial.verdict:
                trial.decide(*_compared(outcome, trial.tests.cases))

    def _feed(self, trials: Sequence[_Trial]) -> None:
        """Input by input: a program that failed one is not asked the next."""
        while running := [(trial, case) for trial in trials if not trial.decided and (case := next(trial.cases, None))]:
            outcomes = self._sandbox.run_stdin([StdinJob(trial.program, case.given) for trial, case in running])
            for (trial, case), outcome in zip(running, outcomes, strict=True):
                trial.seconds += outcome.seconds
                verdict, reason = _verdict(outcome, "ran")
                if verdict and not same_output(outcome.stdout, case.expected):
                    verdict, reason = False, "another output than expected"
                if not verdict:
                    trial.decide(verdict, reason)
        for trial in trials:
            if not trial.decided:
                trial.decide(True, f"passed {trial.tests.count} tests")


def _value(verdict: bool | None) -> float | None:
    return None if verdict is None else float(verdict)


def _verdict(outcome: Outcome, wanted: str) -> tuple[bool | None, str]:
    told = f"{outcome.status}: {outcome.reason}" if outcome.reason else outcome.status
    return (None if outcome.status == "unjudged" else outcome.status == wanted), told


def _compared(outcome: Outcome, cases: Sequence[Case]) -> tuple[bool, str]:
    for number, case in enumerate(cases):
        if number >= len(outcome.answers):
            return False, f"call {number + 1} of {len(cases)} had no answer"
        answer = outcome.answers[number]
        if answer.error is not None:
            return False, f"call {number + 1}: {answer.error}"
        if not same_value(answer.value, case.expected):
            return False, f"call {number + 1}: another value than expected"
    return True, f"passed {len(cases)} tests"
