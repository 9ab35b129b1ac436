"""The same with real system calls: strace kills the process, or fails the call, before the kernel sees it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.storage.journal.driver import Driver, tree
from tests.storage.journal.test_kills import Whole

_SCRIPT = {"rounds": 2, "items": 6, "flush_every": 3}
_CALLS = "write,fsync,rename,mkdir,unlink,unlinkat,rmdir,ftruncate"
_PLAY = f"""
import sys
from pathlib import Path
from selftrain.errors import SelftrainError
from tests.storage.journal.script import play
try:
    play(Path(sys.argv[1]), {_SCRIPT}, lambda note: None)
except SelftrainError as error:
    sys.exit(error.exit_code)
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="no strace"),
]


def traced(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["strace", "-f", "-qq", "-e", f"trace={_CALLS}", *options, sys.executable, "-B", "-c", _PLAY, str(folder)]
    return subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True)


@pytest.fixture
def counted(room: Path) -> Counter[str]:
    """How often each call is made."""
    found = traced(room / "counted", "-o", str(room / "calls"))
    if found.returncode:
        pytest.skip(f"strace cannot trace here: {found.stderr}")
    return Counter(re.findall(r"^\d+ +(\w+)\(", (room / "calls").read_text(), re.MULTILINE))


def _strike(driver: Driver, room: Path, whole: Whole, inject: str, codes: set[int]) -> None:
    struck = traced(room / "run", "-o", str(room / "calls"), "-e", f"inject={inject}")
    assert struck.returncode in codes and "Traceback" not in struck.stderr, (inject, struck)
    assert driver.play(room / "run", script=_SCRIPT).code == 0, inject
    assert tree(room / "run") == whole(_SCRIPT)[1], inject
    shutil.rmtree(room / "run")


def test_killed_before_each_call(driver: Driver, room: Path, whole: Whole, counted: Counter[str]) -> None:
    for name, times in counted.items():
        for number in range(1, times + 1):
            _strike(driver, room, whole, f"{name}:signal=KILL:when={number}", {-9, 137})
    print(f"{sum(counted.values())} points: {dict(counted)}")


@pytest.mark.parametrize(
    ("error", "codes"), [("ENOSPC", {74, 0}), ("EIO", {74, 0}), ("EDQUOT", {74, 0}), ("EINTR", {0})]
)
def test_calls_that_fail(
    driver: Driver, room: Path, whole: Whole, counted: Counter[str], error: str, codes: set[int]
) -> None:
    tried = 0
    for name in ("write", "fsync", "rename"):
        for number in range(1, counted[name] + 1, 4):
            tried += 1
            _strike(driver, room, whole, f"{name}:error={error}:when={number}", codes)
    print(f"{tried} calls, {error}")
