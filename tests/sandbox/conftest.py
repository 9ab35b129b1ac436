from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache

import pytest

from selftrain.sandbox import Sandbox, open_sandbox, self_test


@cache
def holds(tier: int, profile: str = "pure") -> bool:
    return self_test(profile, (tier,))[0] == tier  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """The strongest tier of this machine."""
    if not any(holds(tier) for tier in (3, 2, 1)):
        pytest.skip("no tier holds on this machine")
    with open_sandbox(workers=3) as opened:
        yield opened


@pytest.fixture(params=[3, 2, 1])
def each_tier(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    if not holds(request.param):
        pytest.skip(f"tier {request.param} does not hold on this machine")
    with open_sandbox(tier=request.param, workers=3) as opened:
        yield opened


def ordinary_user() -> list[str] | None:
    """How to start Python as somebody without rights: None where we are not root, or nobody can start a Python."""
    if os.getuid() != 0:
        return None
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        test = [python, "-c", "import sys, selftrain.sandbox; sys.exit(sys.version_info < (3, 11))"]
        if run_as_nobody(test).returncode == 0:
            return [python, "-B"]
    return None


def run_as_nobody(command: list[str]) -> subprocess.CompletedProcess[str]:
    here = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))  # noqa: PTH100, PTH118, PTH120
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": here, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        return subprocess.run(
            command, user=65534, group=65534, extra_groups=[], env=environment, cwd="/", capture_output=True, text=True
        )
    except OSError as error:
        return subprocess.CompletedProcess(command, 126, "", str(error))
