"""Programs against groups of tests, in the sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Literal

from selftrain.graders.code.compare_values import same_output, same_value
from selftrain.graders.code.extract_program import method_or_function
from selftrain.problems.code import Case, CodeTask, Tests
from selftrain.sandbox import CallJob, CheckJob, Limits, Outcome, Sandbox, StdinJob


@dataclass
class Trial:
    """One program and one group of tests. After `run_trials`: the verdict, None for unjudged."""

    program: str
    task: CodeTask
    tests: Tests
    #: Seconds of its own for each job; None for the sandbox's limit.
    limit: float | None = None
    verdict: bool | None = None
    reason: str = ""
    seconds: float = 0.0
    #: Seconds of its own that the longest job took.
    longest: float = 0.0
    timed_out: bool = False
    decided: bool = False

    def decide(self, verdict: bool | None, reason: str) -> None:
        self.verdict, self.reason, self.decided = verdict, reason, True

    def note(self, outcome: Outcome) -> None:
        self.seconds += outcome.seconds
        self.longest = max(self.longest, outcome.own_seconds)
        self.timed_out = outcome.status == "timeout"


def run_trials(trials: Sequence[Trial], sandbox: Sandbox, weak_tests: Literal["exclude", "include"]) -> None:
    """Decides every trial. `weak_tests`: see `CodeConfig`."""
    _check([trial for trial in trials if trial.task.kind == "check"], sandbox, weak_tests)
    _call([trial for trial in trials if trial.task.kind == "call"], sandbox)
    _feed([trial for trial in trials if trial.task.kind == "stdin"], sandbox)


def _check(trials: Sequence[Trial], sandbox: Sandbox, weak_tests: str) -> None:
    jobs = [
        CheckJob(
            t.program,
            t.task.entry_point or "",
            t.tests.code,
            setup=t.task.preamble,
            preamble=t.task.preamble,
            limits=_limits(t, sandbox, len(t.tests.code)),
        )
        for t in trials
    ]
    for trial, job, outcome in zip(trials, jobs, sandbox.check(jobs), strict=True):
        trial.note(outcome)
        if outcome.status != "passed" or not outcome.weak:
            trial.decide(*_verdict(outcome, "passed"))
        elif weak_tests == "exclude":
            trial.decide(None, "passed a weak test, which asks for more than plain calls (--weak_tests)")
        else:
            _check_shifted(trial, sandbox, job)


def _check_shifted(trial: Trial, sandbox: Sandbox, job: CheckJob) -> None:
    """Accepts a program that passed a weak test if it fails the same test with shifted expected values."""
    shifted = sandbox.check_shifted(job, job.limits)
    trial.seconds += shifted.seconds
    if shifted.status == "passed":
        trial.decide(False, "also passes the test with its expected values shifted: a forgery")
    else:
        verdict = None if shifted.status == "unjudged" else True
        trial.decide(verdict, f"passed a weak test; with shifted values: {shifted.status}")


def _call(trials: Sequence[Trial], sandbox: Sandbox) -> None:
    jobs = [
        CallJob(
            t.program,
            method_or_function(t.program, str(t.task.entry_point)),
            [case.input for case in t.tests.cases],
            preamble=t.task.preamble,
            limits=_limits(t, sandbox, sum(len(repr(case.expected)) for case in t.tests.cases)),
        )
        for t in trials
    ]
    for trial, outcome in zip(trials, sandbox.call(jobs), strict=True):
        trial.note(outcome)
        trial.decide(*_verdict(outcome, "ran"))
        if trial.verdict:
            trial.decide(*_compare_answers(outcome, trial.tests.cases))


def _feed(trials: Sequence[Trial], sandbox: Sandbox) -> None:
    """One input at a time: a program that failed one does not get the next."""
    for number in count():
        running = [t for t in trials if not t.decided and number < len(t.tests.cases)]
        if not running:
            break
        jobs = [_feed_job(trial, trial.tests.cases[number], sandbox) for trial in running]
        for trial, outcome in zip(running, sandbox.run_stdin(jobs), strict=True):
            trial.note(outcome)
            verdict, reason = _verdict(outcome, "ran")
            if verdict and not same_output(outcome.stdout, trial.tests.cases[number].expected):
                verdict, reason = False, "another output than expected"
            if not verdict:
                trial.decide(verdict, reason)
    for trial in trials:
        if not trial.decided:
            trial.decide(True, f"passed {trial.tests.count} tests")


def _feed_job(trial: Trial, case: Case, sandbox: Sandbox) -> StdinJob:
    limits = _limits(trial, sandbox, len(case.expected.encode("utf-8", "replace")))
    return StdinJob(trial.program, case.input, trial.task.preamble, limits)


def _limits(trial: Trial, sandbox: Sandbox, expected_bytes: int) -> Limits:
    """The sandbox's limits, with the trial's time, and room for more output than the expected one in any spelling."""
    usual = sandbox.limits
    output = max(usual.output_bytes, 4 * expected_bytes)
    seconds = trial.limit or usual.seconds
    return replace(usual, output_bytes=output, seconds=seconds, wall_seconds=max(usual.wall_seconds, 20 * seconds))


def _verdict(outcome: Outcome, wanted: str) -> tuple[bool | None, str]:
    reason = f"{outcome.status}: {outcome.reason}" if outcome.reason else outcome.status
    return (None if outcome.status == "unjudged" else outcome.status == wanted), reason


def _compare_answers(outcome: Outcome, cases: Sequence[Case]) -> tuple[bool | None, str]:
    unjudged = ""
    for number, case in enumerate(cases):
        if number >= len(outcome.answers):
            return False, f"call {number + 1} of {len(cases)} had no answer"
        answer = outcome.answers[number]
        if answer.unjudged:
            unjudged = unjudged or f"call {number + 1}: {answer.error}"
        elif answer.error is not None:
            return False, f"call {number + 1}: {answer.error}"
        elif not same_value(answer.value, case.expected):
            return False, f"call {number + 1}: another value than expected"
    return (None, unjudged) if unjudged else (True, f"passed {len(cases)} tests")
