"""A tier is what its probes show; without one, model code is not run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from selftrain.sandbox import SandboxError, open_sandbox, report_lines
from selftrain.sandbox.inside import seccomp_filter
from selftrain.sandbox.inside.syscalls import CONDITIONAL, FILES, MACHINES, PROCS, PURE, numbers
from selftrain.sandbox.probes import open_canary, probe_worker
from selftrain.sandbox.worker import SandboxWorker

#: Run in a process whose kernel offers no seccomp: a filter denies prctl(PR_SET_SECCOMP) from now on.
WITHOUT_SECCOMP = """
import errno, struct
from selftrain.sandbox import SandboxError, StdinJob, open_sandbox, report_lines
from selftrain.sandbox.inside import kernel
from selftrain.sandbox.inside.seccomp_filter import ALLOW, ERROR
from selftrain.sandbox.inside.syscalls import CONDITIONAL, numbers
steps = [
    (0x20, 0, 0, 0), (0x15, 0, 3, numbers(CONDITIONAL, kernel.MACHINE)["prctl"]),
    (0x20, 0, 0, 16), (0x15, 0, 1, kernel.PR_SET_SECCOMP), (0x06, 0, 0, ERROR | errno.EPERM), (0x06, 0, 0, ALLOW),
]
kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
kernel.seccomp(b"".join(struct.pack("HBBI", *step) for step in steps))
"""


def without_seccomp(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SECCOMP + program], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_each_tier_can_be_chosen_and_lists_its_probes(each_tier) -> None:
    assert each_tier.probes and all(one.passed for one in each_tier.probes)
    lines = report_lines(each_tier)
    assert f"tier {each_tier.tier}" in lines[0] and len(lines) == 1 + len(each_tier.probes)


def test_without_a_tier_model_code_is_refused_unless_one_flag_overrides() -> None:
    refused, *_, unsandboxed = (
        without_seccomp("""
try:
    open_sandbox()
except SandboxError as error:
    print(error.exit_code, str(error).replace("\\n", " "))
with open_sandbox(allow_unsandboxed=True, workers=1) as opened:
    print(opened.tier, opened.unsandboxed, report_lines(opened)[0], opened.run_stdin([StdinJob("print(1)")])[0].stdout)
""")
        .strip()
        .splitlines()
    )
    assert refused.startswith("77 ")
    for part in ("FAIL tier 1: can be set up", "locked in", "fix: a Linux kernel with seccomp filters", "unsandboxed"):
        assert part in refused
    assert unsandboxed == "0 True tier 0 (NOT SANDBOXED: limits only), profile pure 1"


def test_tier_0_is_never_had_by_asking_for_it_alone() -> None:
    with pytest.raises(SandboxError):
        open_sandbox(tier=0)


def test_profiles_that_open_files_need_namespaces() -> None:
    for profile in ("files", "procs"):
        with pytest.raises(SandboxError, match="below 3"):
            open_sandbox(profile, tier=2)  # type: ignore[arg-type]


def test_a_tier_that_cannot_be_set_up_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SandboxError, match="can be set up"):
        open_sandbox()


def test_a_probe_that_is_not_held_fails_its_tier() -> None:
    """Without the layer that they test, the probes fail."""
    worker = SandboxWorker(0, tier=0, profile="pure")
    with open_canary() as canary:
        failed = {one.name for one in probe_worker(worker, 1, "pure", canary) if not one.passed}
    worker.close()
    assert {
        "no file can be read",
        "no internet socket",
        "no fork",
        "no other program",
        "no file can be inspected",
    } <= failed


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("profile", ["pure", "files", "procs"])
def test_filters_can_be_built_for_both_machines(machine: str, profile: str) -> None:
    program = seccomp_filter.build(profile, machine)
    assert len(program) % 8 == 0 and len(program) // 8 < 4096
    names = [name for table in (PURE, FILES, PROCS, CONDITIONAL) for name in numbers(table, machine)]
    assert len(names) == len(set(names))
    used = [number for table in (PURE, FILES, PROCS, CONDITIONAL) for number in numbers(table, machine).values()]
    assert len(used) == len(set(used))


def test_an_unknown_machine_has_no_filter() -> None:
    with pytest.raises(KeyError):
        seccomp_filter.build("pure", "riscv64")
