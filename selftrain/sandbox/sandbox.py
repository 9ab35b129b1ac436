"""The sandbox as its caller sees it: choose a tier, run many jobs at once, lose none."""

from __future__ import annotations

import os
import queue
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from selftrain.sandbox.jobs import CallJob, CheckJob, Limits, Outcome, Probe, Profile, SandboxError, StdinJob
from selftrain.sandbox.probes import probe
from selftrain.sandbox.shifted_test import impossible
from selftrain.sandbox.supervisors import SupervisorDiedError
from selftrain.sandbox.worker import Job, SandboxWorker

#: A job whose supervisor died is tried so often in all; then it is unjudged.
_TRIES = 3
#: Profiles that open files or start processes need namespaces around them: see docs/sandbox.md.
_LOWEST_TIER = {"pure": 1, "files": 3, "procs": 3}
TIERS = {
    3: "namespaces, landlock, seccomp, limits",
    2: "landlock, seccomp, limits",
    1: "seccomp, limits",
    0: "NOT SANDBOXED: limits only",
}


def self_test(profile: Profile = "pure", tiers: Sequence[int] = (3, 2, 1)) -> tuple[int | None, tuple[Probe, ...]]:
    """The strongest of `tiers` whose probes all pass (None where none does), and every probe tried on the way."""
    probes: list[Probe] = []
    for tier in tiers:
        found = list(probe(tier, profile))
        probes += found
        if all(one.passed for one in found):
            return tier, tuple(probes)
    return None, tuple(probes)


def open_sandbox(
    profile: Profile = "pure",
    tier: int | None = None,
    workers: int | None = None,
    allow_unsandboxed: bool = False,
    limits: Limits | None = None,
) -> Sandbox:
    """A sandbox of the strongest tier that this machine holds to, shown by a self-test of about half a second.

    `tier` asks for a weaker one by name. `workers` programs run at once, by default one for each processor.
    SandboxError (exit code 77) where no tier holds; then `allow_unsandboxed`, which a person has to have said in so
    many words and which belongs into every record, runs model code with limits on time and memory only: tier 0.
    """
    lowest = _LOWEST_TIER[profile]
    if tier == 0:
        wanted: tuple[int, ...] = ()
    else:
        wanted = (tier,) if tier is not None else (3, 2, 1)
    chosen, probes = self_test(profile, [one for one in wanted if one >= lowest])
    if chosen is None and allow_unsandboxed:
        found = tuple(probe(0, profile))
        probes += found
        chosen = 0 if all(one.passed for one in found) else None
    if chosen is None:
        raise SandboxError(
            f"no sandbox for profile {profile!r} on this machine",
            "\n".join(_lines(probes)) or f"tier {tier} is below {lowest}, the lowest for this profile",
            "mend one of the above, or accept the risk with --run_model_code unsandboxed (allow_unsandboxed=True)",
        )
    return Sandbox(profile, chosen, probes, workers or os.cpu_count() or 1, limits or Limits())


class Sandbox:
    """Runs jobs and tells what became of each, in their order. Thread-safe. Close it, or use it in a `with`.

    No job is lost: it is judged, or `unjudged` after three supervisors died on it.
    """

    def __init__(self, profile: Profile, tier: int, probes: tuple[Probe, ...], workers: int, limits: Limits) -> None:
        self.profile, self.tier, self.probes, self.limits = profile, tier, probes, limits
        self._lanes: queue.SimpleQueue[SandboxWorker] = queue.SimpleQueue()
        self._all = [SandboxWorker(number, tier, profile) for number in range(workers)]
        for lane in self._all:
            self._lanes.put(lane)
        self._pool = ThreadPoolExecutor(workers, "sandbox")

    @property
    def unsandboxed(self) -> bool:
        """Whether nothing but limits holds the programs. Belongs into the record and every report of a run."""
        return self.tier == 0

    def run_stdin(self, jobs: Sequence[StdinJob], limits: Limits | None = None) -> list[Outcome]:
        """Run whole programs. The status is never better than "ran": the caller compares `stdout`."""
        return self._run(jobs, limits)

    def call(self, jobs: Sequence[CallJob], limits: Limits | None = None) -> list[Outcome]:
        """Call a function of each program. The status is never better than "ran": the caller compares `answers`."""
        return self._run(jobs, limits)

    def check(self, jobs: Sequence[CheckJob], limits: Limits | None = None) -> list[Outcome]:
        """Put each program to its test: "passed", or why not."""
        return self._run(jobs, limits)

    def twin(self, job: CheckJob, limits: Limits | None = None) -> Outcome:
        """The same program against the test with its expected values shifted. Passing that shows a forgery.

        "unjudged" where the test has nothing to shift.
        """
        test = impossible(job)
        if test is None:
            return Outcome("unjudged", "the test has no expected value to shift")
        return self._run([CheckJob(job.program, job.entry_point, test, job.setup)], limits)[0]

    def close(self) -> None:
        """Wait for the jobs in flight, then end all processes."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for lane in self._all:
            lane.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, jobs: Sequence[Job], limits: Limits | None) -> list[Outcome]:
        return list(self._pool.map(lambda job: self._graded(job, limits or self.limits), jobs))

    def _graded(self, job: Job, limits: Limits) -> Outcome:
        why = ""
        lane = self._lanes.get()
        try:
            for _ in range(_TRIES):
                try:
                    return lane.run(job, limits)
                except (SupervisorDiedError, OSError) as error:
                    why = str(error)
        finally:
            self._lanes.put(lane)
        return Outcome("unjudged", f"our side failed {_TRIES} times: {why}")


def report_lines(sandbox: Sandbox) -> list[str]:
    """For people: the tier, each probe, and what would mend those that failed."""
    return tier_lines(sandbox.tier, sandbox.profile, sandbox.probes)


def tier_lines(tier: int | None, profile: Profile, probes: Sequence[Probe]) -> list[str]:
    """The same of a self-test."""
    head = "no tier holds here" if tier is None else f"tier {tier} ({TIERS[tier]})"
    return [f"{head}, profile {profile}", *_lines(probes)]


def _lines(probes: Sequence[Probe]) -> list[str]:
    lines = []
    for one in probes:
        lines.append(f"  {'ok  ' if one.passed else 'FAIL'} tier {one.tier}: {one.name}")
        if not one.passed:
            lines += [f"       found: {one.found}"] * bool(one.found) + [f"       mend: {one.mend}"] * bool(one.mend)
    return lines
