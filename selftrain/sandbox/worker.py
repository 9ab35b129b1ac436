"""One worker: a supervisor for programs and, once a test needs it, one for tests. It runs one job at a time."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from selftrain.sandbox.inside.codec import Decoder, Encoder, from_text, to_text
from selftrain.sandbox.inside.protocol import ENDED, RAISED, NotPlainError
from selftrain.sandbox.jobs import Answer, CallJob, CheckJob, Limits, Outcome, Status, StdinJob, printable
from selftrain.sandbox.own_time import OwnTime
from selftrain.sandbox.supervisors import Ended, Supervisor, memory_file

Job = StdinJob | CallJob | CheckJob

_NUMPY = re.compile(r"\bnumpy\b|\bnp\.")

#: User ids that no system assigns; two per worker: the candidate's and the checker's. Only root can become them.
_FIRST_UID = 60200
_UID_PAIRS = 400


@dataclass(frozen=True)
class _End:
    """How a child ended; None if it had to be ended with its supervisor."""

    ended: Ended | None
    why_killed: Literal["", "over", "starved"] = ""


class SandboxWorker:
    """Not thread-safe.

    Args:
        number: tells the workers of a sandbox apart, for user ids of their own.
        max_jobs: jobs after which a supervisor is replaced, in case it has accumulated something.
    """

    def __init__(self, number: int, tier: int, profile: str, max_jobs: int = 1000) -> None:
        self.tier, self.profile, self._max_jobs = tier, profile, max_jobs
        self._uid = _FIRST_UID + 2 * (number % _UID_PAIRS)
        self.supervisors: dict[str, Supervisor] = {}
        #: Of the current job: its time as it was seen and as the kernel counted it, and who runs it.
        self._time, self._processor, self._candidate, self._checker = OwnTime(), 0.0, "", ""

    @property
    def supervisor_pids(self) -> list[int]:
        """Of those that have told it."""
        return [supervisor.pid for supervisor in list(self.supervisors.values()) if supervisor.pid]

    def run(self, job: Job, limits: Limits) -> Outcome:
        """Raises SupervisorDiedError if our side failed. The next job gets new supervisors."""
        try:
            self._start(job)
            start = time.monotonic()  # after the supervisors' start, which does not count against the job
            self._time, self._processor = OwnTime(), 0.0
            if isinstance(job, CheckJob):
                outcome = self._check(job, limits)
            else:
                outcome = self._stdin(job, limits) if isinstance(job, StdinJob) else self._call(job, limits)
        except BaseException:
            self.close()
            raise
        wall, own = time.monotonic() - start, max(self._time.seconds, self._processor)
        return replace(outcome, seconds=wall, own_seconds=own, reason=printable(outcome.reason))

    def close(self) -> None:
        while self.supervisors:
            self.supervisors.popitem()[1].stop()

    def _start(self, job: Job) -> None:
        """Starts supervisors, in parallel, for roles that have none or one with `max_jobs` behind it."""
        in_test = isinstance(job, CheckJob) and _NUMPY.search(job.test_code + job.setup)
        self._candidate = "candidate with numpy" if in_test or _NUMPY.search(job.program) else "candidate"
        self._checker = "checker with numpy" if in_test else "checker"
        roles = [self._candidate, self._checker] if isinstance(job, CheckJob) else [self._candidate]
        started = []
        for role in roles:
            old = self.supervisors.get(role)
            if old is not None and old.jobs < self._max_jobs:
                continue
            if old is not None:
                self.supervisors.pop(role).stop()
            # The checker needs neither files nor processes, whatever the program needs.
            checks = role.startswith("checker")
            profile, uid = ("pure", self._uid + 1) if checks else (self.profile, self._uid)
            self.supervisors[role] = Supervisor(self.tier, profile, uid, numpy="numpy" in role)
            started.append(self.supervisors[role])
        for supervisor in started:
            supervisor.await_ready()

    def _end(self, roles: Sequence[str], limits: Limits) -> _End:
        """How the child of the first of these supervisors ended. It is killed where the job is over its limits."""
        deadline = time.monotonic() + limits.wall_seconds
        lead = self.supervisors[roles[0]]
        while True:
            ended = lead.wait(min(self._time.next_look(limits.seconds), deadline))
            if ended is not None:
                self._processor += ended.cpu
                return _End(ended)
            for role in roles[1:]:
                self.supervisors[role].wait(0)
            self._time.look(pid for role in roles if (pid := self.supervisors[role].child))
            if self._time.seconds >= limits.seconds:
                return _End(self._kill(roles[0]), "over")
            if time.monotonic() >= deadline:
                return _End(self._kill(roles[0]), "starved")

    def _kill(self, role: str) -> Ended | None:
        ended = self.supervisors[role].kill()
        if ended is None:  # not even SIGKILL worked in time: end the whole supervisor
            self.supervisors.pop(role).stop()
        return ended

    def _stdin(self, job: StdinJob, limits: Limits) -> Outcome:
        text = job.stdin.encode("utf-8", "surrogateescape")
        with _files(to_text(_program(job)), text, b"", b"") as files:
            self.supervisors[self._candidate].submit("stdin", limits, files)
            status, reason = _status(self._end([self._candidate], limits), limits)
            output = os.pread(files[2], limits.output_bytes + 1, 0)
            note = os.pread(files[3], 4096, 0)
        if status == "ran" and len(output) > limits.output_bytes:
            status, reason = "refused", f"more than {limits.output_bytes} bytes of output"
        if status == "crashed" and note:
            reason = _note(note)
        return Outcome(status, reason, output[: limits.output_bytes].decode("utf-8", "replace"))

    def _call(self, job: CallJob, limits: Limits) -> Outcome:
        try:
            calls = [Encoder().encode(list(arguments)) for arguments in job.calls]
        except NotPlainError as error:
            return Outcome("unjudged", f"an argument is not plain data: {error}")
        content = to_text({**_program(job), "entry_point": job.entry_point, "calls": calls})
        with _files(content, b"") as files:
            self.supervisors[self._candidate].submit("call", limits, files)
            status, reason = _status(self._end([self._candidate], limits), limits)
            report = os.pread(files[1], limits.output_bytes + 1, 0)
        if len(report) > limits.output_bytes:
            return Outcome("refused", f"more than {limits.output_bytes} bytes of answers")
        return _answers(report, len(calls), status, reason)

    def _check(self, job: CheckJob, limits: Limits) -> Outcome:
        test = {"setup": job.setup, "test_code": job.test_code, "entry_point": job.entry_point}
        left, right = socket.socketpair()
        with _files(to_text(_program(job))) as program, _files(to_text(test), b"") as files:
            with left, right:
                self.supervisors[self._candidate].submit("serve", limits, [*program, left.fileno()])
                self.supervisors[self._checker].submit("check", limits, [files[0], right.fileno(), files[1]])
            end = self._end([self._checker, self._candidate], limits)
            # The verdict is in: the candidate has ended, or has nothing more to do.
            candidate = self.supervisors[self._candidate].wait(time.monotonic() + 0.02) or self._kill(self._candidate)
            self._processor += candidate.cpu if candidate else 0
            report = os.pread(files[1], 1 << 16, 0)
        return _check_outcome(report, end, candidate, limits)


def _program(job: Job) -> dict[str, Any]:
    return {"program": job.program, "preamble": job.preamble}


@contextlib.contextmanager
def _files(*contents: bytes) -> Iterator[list[int]]:
    descriptors: list[int] = []
    try:
        for content in contents:
            descriptors.append(memory_file(content))
        yield descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _status(end: _End, limits: Limits) -> tuple[Status, str]:
    """Status and reason from how the child ended, as the kernel reports it."""
    if end.why_killed == "starved":
        return "unjudged", f"the machine had no time for it: not done after {limits.wall_seconds:g} s"
    if end.why_killed == "over" or end.ended is None:
        return "timeout", f"over {limits.seconds:g} s"
    ended = end.ended
    if os.WIFSIGNALED(ended.status):
        number = os.WTERMSIG(ended.status)
        if number in (signal.SIGKILL, signal.SIGXCPU) and ended.cpu >= limits.seconds:
            return "timeout", f"over {limits.seconds:g} s"
        if number == signal.SIGXFSZ:
            return "refused", f"more than {limits.output_bytes} bytes of output"
        return "crashed", f"killed by {signal.strsignal(number) or number}"
    if os.WEXITSTATUS(ended.status) == RAISED:
        return "crashed", "raised an exception"
    return "ran", ""


def _note(note: bytes) -> str:
    with contextlib.suppress(NotPlainError):
        text = from_text(note)
        if isinstance(text, str):
            return text
    return "raised an exception"


def _answers(report: bytes, wanted: int, status: Status, reason: str) -> Outcome:
    answers: list[Answer] = []
    try:
        whole = report[: report.rfind(b"\n")]  # a killed program may leave half a line
        for line in whole.split(b"\n", wanted + 1)[: wanted + 1] if whole else []:
            data = from_text(line)
            if isinstance(data, dict) and "load" in data:
                return Outcome("crashed", str(data["load"]))
            answers.append(_answer(data))
    except NotPlainError as error:
        return Outcome("refused", f"an answer that is not in our format: {error}")
    if len(answers) > wanted:
        return Outcome("refused", f"{len(answers)} answers to {wanted} calls")
    if status == "ran" and len(answers) < wanted:
        status, reason = "crashed", f"ended after {len(answers)} of {wanted} answers"
    return Outcome(status, reason, answers=tuple(answers), calls=len(answers))


def _answer(data: Any) -> Answer:
    """One line of a call job. A value that is not plain data costs that answer, not the others."""
    if not isinstance(data, dict):
        raise NotPlainError("no answer")
    if "v" in data:
        return Answer(Decoder().decode(data["v"]))
    if "x" in data:
        return Answer(error=printable(f"refused: {data['x']}"))
    if "o" in data:
        return Answer(error=printable(f"unjudged: {data['o']}"), unjudged=True)
    match data.get("e"):
        case [str(name), str(text)]:
            return Answer(error=printable(f"{name}: {text}"))
    raise NotPlainError("no answer")


def _check_outcome(report: bytes, end: _End, candidate: Ended | None, limits: Limits) -> Outcome:
    if end.why_killed or end.ended is None:
        return Outcome(*_status(end, limits))
    try:
        verdict = from_text(report)
    except NotPlainError:  # the checker died; only what the program sent it can have done that
        status, reason = _status(end, limits)
        return Outcome("crashed", f"the test died on what the program answered: {reason}")
    status = {"passed": "passed", "failed": "failed"}.get(verdict["verdict"], "unjudged")  # type: ignore[assignment]
    reason = verdict["reason"]
    if reason == ENDED and status == "failed" and candidate is not None and os.WIFSIGNALED(candidate.status):
        status, reason = _status(_End(candidate), limits)
    return Outcome(status, reason, calls=verdict["calls"], weak=verdict["weak"])
