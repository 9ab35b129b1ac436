"""A tier is what its probes show; without one, model code is not run."""

from __future__ import annotations

import pytest

from selftrain.sandbox import Probe, SandboxError, StdinJob, open_sandbox, report_lines
from selftrain.sandbox import sandbox as module
from selftrain.sandbox.inside import seccomp_filter
from selftrain.sandbox.inside.syscalls import ASKED, FILES, MACHINES, PROCS, PURE, numbers
from tests.sandbox.conftest import holds


@pytest.fixture
def nothing_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    real = module.probe
    no = Probe(3, "no fork", False, "open: 17", "another kernel")
    monkeypatch.setattr(module, "probe", lambda tier, profile: real(0, profile) if tier == 0 else iter([no]))


def test_each_tier_can_be_asked_for_and_tells_its_probes(each_tier) -> None:
    assert each_tier.probes and all(one.passed for one in each_tier.probes)
    lines = report_lines(each_tier)
    assert f"tier {each_tier.tier}" in lines[0] and len(lines) == 1 + len(each_tier.probes)


def test_without_a_tier_model_code_is_refused(nothing_holds: None) -> None:
    with pytest.raises(SandboxError) as refused:
        open_sandbox()
    assert refused.value.exit_code == 77
    for part in ("no fork", "open: 17", "another kernel", "unsandboxed"):
        assert part in str(refused.value)


def test_one_flag_overrides_and_shows(nothing_holds: None) -> None:
    with open_sandbox(allow_unsandboxed=True, workers=1) as opened:
        assert opened.unsandboxed and opened.tier == 0
        assert "NOT SANDBOXED" in report_lines(opened)[0]
        assert opened.run_stdin([StdinJob("print(1)")])[0].stdout == "1\n"


def test_tier_0_is_never_had_by_asking_for_it_alone() -> None:
    with pytest.raises(SandboxError):
        open_sandbox(tier=0)


def test_profiles_that_open_files_need_namespaces() -> None:
    for profile in ("files", "procs"):
        with pytest.raises(SandboxError, match="below 3"):
            open_sandbox(profile, tier=2)  # type: ignore[arg-type]


def test_a_tier_that_cannot_be_set_up_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selftrain.sandbox.supervisors._BOOT", "/nonexistent/boot.py")
    with pytest.raises(SandboxError, match="can be set up"):
        open_sandbox()


def test_a_probe_that_is_not_held_fails_its_tier(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probes bite: run without the layer they test, they say so."""
    if not holds(1):
        pytest.skip("no tier holds on this machine")
    from selftrain.sandbox import probes
    from selftrain.sandbox import worker as lane

    class Loose(lane.Supervisor):
        def __init__(self, tier: int, profile: str, uid: int, no_filter: bool = False) -> None:
            super().__init__(0, profile, uid, no_filter)

    monkeypatch.setattr(lane, "Supervisor", Loose)
    failed = {one.name for one in probes.probe(1, "pure") if not one.passed}
    assert {"no file can be read", "no internet socket", "no fork", "no other program", "nor asked about"} <= failed


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("profile", ["pure", "files", "procs"])
def test_filters_can_be_built_for_both_machines(machine: str, profile: str) -> None:
    program = seccomp_filter.build(profile, machine)
    assert len(program) % 8 == 0 and len(program) // 8 < 4096
    names = [name for table in (PURE, FILES, PROCS, ASKED) for name in numbers(table, machine)]
    assert len(names) == len(set(names))
    used = [number for table in (PURE, FILES, PROCS, ASKED) for number in numbers(table, machine).values()]
    assert len(used) == len(set(used))


def test_an_unknown_machine_has_no_filter() -> None:
    with pytest.raises(KeyError):
        seccomp_filter.build("pure", "riscv64")
