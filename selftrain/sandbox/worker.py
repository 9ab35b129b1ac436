"""One lane: a candidate supervisor and, once a test needs it, a checker supervisor. It judges one job at a time."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from selftrain.sandbox.inside.checker import ENDED
from selftrain.sandbox.inside.codec import Decoder, Encoder, NotPlainError, from_text, to_text
from selftrain.sandbox.jobs import Answer, CallJob, CheckJob, Limits, Outcome, Status, StdinJob, printable
from selftrain.sandbox.supervisors import Ended, Supervisor, SupervisorDiedError, memory_file

Job = StdinJob | CallJob | CheckJob

#: Users that no system hands out; two for each lane: the candidate's and the checker's. Only root can become them.
_FIRST_UID = 60200
_LANES = 400
#: A supervisor is replaced after so many jobs, whatever it may have gathered by then.
_MAX_JOBS = 1000
_RAISED = 70


class SandboxWorker:
    """Not thread-safe: whoever holds a lane uses it alone."""

    def __init__(self, number: int, tier: int, profile: str) -> None:
        self._tier, self._profile = tier, profile
        self._uid = _FIRST_UID + 2 * (number % _LANES)
        self.supervisors: dict[str, Supervisor] = {}

    def run(self, job: Job, limits: Limits) -> Outcome:
        """Judge a job. SupervisorDiedError where our side failed; both supervisors are then new for the next try."""
        try:
            self._start("candidate", *(["checker"] if isinstance(job, CheckJob) else []))
            start = time.monotonic()  # the clock of the job; a supervisor may take longer to start
            if isinstance(job, CheckJob):
                outcome = self._check(job, limits)
            else:
                outcome = self._stdin(job, limits) if isinstance(job, StdinJob) else self._call(job, limits)
        except BaseException:
            self.close()
            raise
        return replace(outcome, seconds=time.monotonic() - start, reason=printable(outcome.reason))

    def close(self) -> None:
        while self.supervisors:
            self.supervisors.popitem()[1].stop()

    def _start(self, *roles: str) -> None:
        """Have these supervisors, fresh ones for those that are missing or have done their share: side by side."""
        fresh = []
        for role in roles:
            old = self.supervisors.get(role)
            if old is not None and old.jobs < _MAX_JOBS:
                continue
            if old is not None:
                self.supervisors.pop(role).stop()
            # The checker needs no files and no processes, whatever the program needs.
            profile = self._profile if role == "candidate" else "pure"
            self.supervisors[role] = Supervisor(self._tier, profile, self._uid + (role == "checker"))
            fresh.append(self.supervisors[role])
        for supervisor in fresh:
            supervisor.await_ready()

    def _end(self, role: str, deadline: float) -> tuple[Ended | None, bool]:
        """How the child of a supervisor ended, and whether it had to be killed at the deadline."""
        supervisor = self.supervisors[role]
        ended = supervisor.wait(deadline)
        if ended is not None:
            return ended, False
        ended = supervisor.kill()
        if ended is None:  # not even SIGKILL came through in time: take the whole supervisor away
            self.supervisors.pop(role).stop()
        return ended, True

    def _stdin(self, job: StdinJob, limits: Limits) -> Outcome:
        text = job.stdin.encode("utf-8", "surrogateescape")
        with _files(to_text({"program": job.program}), text, b"", b"") as files:
            deadline = time.monotonic() + limits.wall_seconds
            self.supervisors["candidate"].submit("stdin", limits, files)
            status, reason = _how(*self._end("candidate", deadline), limits)
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
        content = to_text({"program": job.program, "entry_point": job.entry_point, "calls": calls})
        with _files(content, b"") as files:
            deadline = time.monotonic() + limits.wall_seconds
            self.supervisors["candidate"].submit("call", limits, files)
            status, reason = _how(*self._end("candidate", deadline), limits)
            report = os.pread(files[1], limits.output_bytes + 1, 0)
        if len(report) > limits.output_bytes:
            return Outcome("refused", f"more than {limits.output_bytes} bytes of answers")
        return _answers(report, len(calls), status, reason)

    def _check(self, job: CheckJob, limits: Limits) -> Outcome:
        test = {"setup": job.setup, "test_code": job.test_code, "entry_point": job.entry_point}
        left, right = socket.socketpair()
        with _files(to_text({"program": job.program})) as program, _files(to_text(test), b"") as files:
            with left, right:
                deadline = time.monotonic() + limits.wall_seconds
                self.supervisors["candidate"].submit("serve", limits, [*program, left.fileno()])
                self.supervisors["checker"].submit("check", limits, [files[0], right.fileno(), files[1]])
            ended, late = self._end("checker", deadline)
            # The verdict is in; the candidate has hung up, or has nothing left to say.
            other, _ = self._end("candidate", time.monotonic() + 0.02)
            report = os.pread(files[1], 1 << 16, 0)
        return _verdict(ended, late, other, report, limits)


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


def _how(ended: Ended | None, late: bool, limits: Limits) -> tuple[Status, str]:
    """The fate of a child from how it ended: all that the kernel vouches for."""
    if late or ended is None:
        return "timeout", f"over {limits.wall_seconds:g} s"
    if os.WIFSIGNALED(ended.status):
        number = os.WTERMSIG(ended.status)
        if number in (signal.SIGKILL, signal.SIGXCPU) and ended.cpu >= limits.cpu_seconds:
            return "timeout", f"over {limits.cpu_seconds:g} s of processor time"
        if number == signal.SIGXFSZ:
            return "refused", f"more than {limits.output_bytes} bytes of output"
        return "crashed", f"killed by {signal.strsignal(number) or number}"
    if os.WEXITSTATUS(ended.status) == _RAISED:
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
        whole = report[: report.rfind(b"\n")]  # a killed program may have left half a line
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
    """One line of a call job. A value that is not plain costs that answer, not the others."""
    if not isinstance(data, dict):
        raise NotPlainError("no answer")
    if "v" in data:
        return Answer(Decoder().decode(data["v"]))
    if "x" in data:
        return Answer(error=printable(f"refused: {data['x']}"))
    match data.get("e"):
        case [str(name), str(text)]:
            return Answer(error=printable(f"{name}: {text}"))
    raise NotPlainError("no answer")


def _verdict(ended: Ended | None, late: bool, other: Ended | None, report: bytes, limits: Limits) -> Outcome:
    if late or ended is None:
        return Outcome("timeout", f"over {limits.wall_seconds:g} s")
    try:
        told = from_text(report)
    except NotPlainError:  # it died; only what the program sent it can have done that
        return Outcome("crashed", f"the test died on what the program answered: {_how(ended, late, limits)[1]}")
    status: Status = {"passed": "passed", "failed": "failed"}.get(told["verdict"], "unjudged")  # type: ignore[assignment]
    reason = told["reason"]
    if status == "failed" and other is not None and os.WIFSIGNALED(other.status) and reason == ENDED:
        status, reason = _how(other, False, limits)
    return Outcome(status, reason, calls=told["calls"], weak=told["weak"])


__all__ = ["Job", "SandboxWorker", "SupervisorDiedError"]
