"""The sandbox: chooses a tier, runs jobs in parallel, loses none."""

from __future__ import annotations

import os
import queue
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from selftrain.sandbox.jobs import CallJob, CheckJob, Limits, Outcome, Probe, Profile, SandboxError, StdinJob
from selftrain.sandbox.probes import probe
from selftrain.sandbox.shifted_test import shift_expected_values
from selftrain.sandbox.supervisors import SupervisorDiedError
from selftrain.sandbox.worker import Job, SandboxWorker

#: Attempts at a job whose supervisor dies, before it is unjudged.
_ATTEMPTS = 3
#: Profiles that open files or start processes need namespaces around them: see docs/sandbox.md.
_LOWEST_TIER = {"pure": 1, "files": 3, "procs": 3}
TIERS = {
    3: "namespaces, landlock, seccomp, limits",
    2: "landlock, seccomp, limits",
    1: "seccomp, limits",
    0: "NOT SANDBOXED: limits only",
}


def self_test(profile: Profile = "pure", tiers: Sequence[int] = (3, 2, 1)) -> tuple[int | None, tuple[Probe, ...]]:
    """The strongest of `tiers` whose probes all pass (None if none does), and every probe tried on the way."""
    probes: list[Probe] = []
    for tier in tiers:
        results = list(probe(tier, profile))
        probes += results
        if all(result.passed for result in results):
            return tier, tuple(probes)
    return None, tuple(probes)


def open_sandbox(
    profile: Profile = "pure",
    tier: int | None = None,
    workers: int | None = None,
    allow_unsandboxed: bool = False,
    limits: Limits | None = None,
) -> Sandbox:
    """A sandbox of the strongest tier that passes the self-test on this machine, which takes about half a second.

    Args:
        tier: a weaker one to use instead.
        workers: programs that run in parallel; None for one per processor.
        allow_unsandboxed: whether to fall back to tier 0, limits on time and memory only. A user has to ask for it
            explicitly, and it belongs into every record and report.

    Raises:
        SandboxError: no tier works (exit code 77).
    """
    lowest = _LOWEST_TIER[profile]
    wanted = (3, 2, 1) if tier is None else (tier,)
    chosen, probes = self_test(profile, [number for number in wanted if number >= lowest])
    if chosen is None and allow_unsandboxed:
        chosen, bare_probes = self_test(profile, (0,))
        probes += bare_probes
    if chosen is None:
        raise SandboxError(
            f"no sandbox for profile {profile!r} on this machine",
            "\n".join(_probe_lines(probes)) or f"tier {tier} is below {lowest}, the lowest for this profile",
            "fix one of the above, or accept the risk with --run_model_code unsandboxed (allow_unsandboxed=True)",
        )
    pool = [SandboxWorker(number, chosen, profile) for number in range(workers or os.cpu_count() or 1)]
    return Sandbox(pool, probes, limits or Limits())


class Sandbox:
    """Runs jobs and returns their outcomes, in order. Thread-safe; a context manager.

    No job is lost: it has an outcome of its own, or is `unjudged` after three supervisors died on it.
    """

    def __init__(self, workers: Sequence[SandboxWorker], probes: tuple[Probe, ...], limits: Limits) -> None:
        self.profile, self.tier = workers[0].profile, workers[0].tier
        self.probes, self.limits = probes, limits
        self._workers = tuple(workers)
        self._idle: queue.SimpleQueue[SandboxWorker] = queue.SimpleQueue()
        for worker in workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(len(workers), "sandbox")

    @property
    def unsandboxed(self) -> bool:
        """Whether nothing but limits holds the programs. Belongs into the record and every report of a run."""
        return self.tier == 0

    @property
    def supervisor_pids(self) -> list[int]:
        """The running supervisors, sorted."""
        return sorted(pid for worker in self._workers for pid in worker.supervisor_pids)

    def run_stdin(self, jobs: Sequence[StdinJob], limits: Limits | None = None) -> list[Outcome]:
        """Runs whole programs. The status is at best "ran": the caller compares `stdout`."""
        return self._run(jobs, limits)

    def call(self, jobs: Sequence[CallJob], limits: Limits | None = None) -> list[Outcome]:
        """Calls a function of each program. The status is at best "ran": the caller compares `answers`."""
        return self._run(jobs, limits)

    def check(self, jobs: Sequence[CheckJob], limits: Limits | None = None) -> list[Outcome]:
        """Runs each program's test: "passed", or why not."""
        return self._run(jobs, limits)

    def check_shifted(self, job: CheckJob, limits: Limits | None = None) -> Outcome:
        """Runs the test with its expected values shifted. A program that passes it is a forgery.

        The status is "unjudged" if the test has nothing to shift.
        """
        test = shift_expected_values(job)
        if test is None:
            return Outcome("unjudged", "the test has no expected value to shift")
        return self._run([replace(job, test_code=test)], limits)[0]

    def close(self) -> None:
        """Waits for the running jobs, then ends all processes."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for worker in self._workers:
            worker.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, jobs: Sequence[Job], limits: Limits | None) -> list[Outcome]:
        return list(self._threads.map(lambda job: self._run_one(job, limits or job.limits or self.limits), jobs))

    def _run_one(self, job: Job, limits: Limits) -> Outcome:
        failure = ""
        worker = self._idle.get()
        try:
            for _ in range(_ATTEMPTS):
                try:
                    return worker.run(job, limits)
                except (SupervisorDiedError, OSError) as error:
                    failure = str(error)
        finally:
            self._idle.put(worker)
        return Outcome("unjudged", f"our side failed {_ATTEMPTS} times: {failure}")


def report_lines(sandbox: Sandbox) -> list[str]:
    """For people: the tier, each probe, and what would fix those that failed."""
    return tier_lines(sandbox.tier, sandbox.profile, sandbox.probes)


def tier_lines(tier: int | None, profile: str, probes: Sequence[Probe]) -> list[str]:
    """`report_lines` of a self-test."""
    head = "no tier holds here" if tier is None else f"tier {tier} ({TIERS[tier]})"
    return [f"{head}, profile {profile}", *_probe_lines(probes)]


def _probe_lines(probes: Sequence[Probe]) -> list[str]:
    lines = []
    for result in probes:
        lines.append(f"  {'ok  ' if result.passed else 'FAIL'} tier {result.tier}: {result.name}")
        lines += [f"       found: {result.found}"] if result.found else []
        lines += [f"       fix: {result.fix}"] if result.fix else []
    return lines
