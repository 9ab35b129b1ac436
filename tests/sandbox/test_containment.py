"""The whole corpus of programs that try to hurt the machine, in every tier, as root and as an ordinary user."""

from __future__ import annotations

import json

import pytest

from selftrain.sandbox import Sandbox, StdinJob, open_sandbox
from tests.sandbox.conftest import holds, ordinary_user, run_as_nobody
from tests.sandbox.containment import programs
from tests.sandbox.corpus import __file__ as corpus_file
from tests.sandbox.corpus import contain


def test_the_corpus_is_whole() -> None:
    assert len(programs()) >= 106


def test_every_third_program_is_held(sandbox: Sandbox) -> None:
    assert contain(sandbox, seconds=0.4, step=3) == {}


@pytest.mark.slow
def test_every_program_is_held_in_each_tier_and_none_is_graded_late(each_tier: Sandbox) -> None:
    assert contain(each_tier) == {}


@pytest.mark.slow
@pytest.mark.parametrize("tier", [3, 2, 1])
def test_every_program_is_held_for_an_ordinary_user(tier: int) -> None:
    start = ordinary_user()
    if start is None:
        pytest.skip("not root, or no Python that nobody may start")
    ran = run_as_nobody([*start, corpus_file, str(tier), "1.5"])
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert json.loads(ran.stdout) == {}


_WIDE = """
import os, socket, subprocess, sys, time
def tried(function, *arguments):
    try: print("ESCAPED", function(*arguments))
    except OSError as error: print("stopped", error.errno)
tried(open, "CANARY"); tried(os.listdir, "/root/.ssh"); tried(os.listdir, "/etc"); tried(os.listdir, "/proc")
tried(open, os.__file__, "a"); tried(open, "/usr/x", "w"); tried(open, "/x", "w"); tried(os.mkdir, "/y")
tried(socket.socket); tried(os.symlink, "/etc", "/tmp/l"); tried(os.link, os.__file__, "/tmp/l")
tried(os.chmod, "/tmp", 0); tried(os.mknod, "/tmp/n", 0o20666, 259); tried(os.chroot, "/tmp"); tried(os.setuid, 0)
"""
_FILL = """
import os
def fill(number):
    with open(f"/tmp/{number}", "wb") as file:
        for _ in range(15): file.write(b"x" * (1 << 20))
try:
    for number in range(100): fill(number)
except OSError as error: print(error.errno)
try:
    for number in range(10000): open(f"/tmp/f{number}", "w").close()
except OSError as error: print(error.errno)
os.chdir("/tmp")
try:
    for n in range(3000): os.mkdir("d"); os.chdir("d")
except OSError as error: print(error.errno)
"""
_BOMB = """
import os, time
while True:
    try: os.fork() or os.setsid()
    except OSError: pass
"""


@pytest.mark.parametrize("profile", ["files", pytest.param("procs", marks=pytest.mark.slow)])
def test_the_wider_profiles_hold_as_well(profile: str) -> None:
    if not holds(3, profile):
        pytest.skip("no namespaces on this machine")
    with open_sandbox(profile, workers=1) as opened:  # type: ignore[arg-type]
        imports = "import sqlite3, xml.dom.minidom; open('/tmp/a', 'w').write('b'); print(open('/tmp/a').read())"
        look = "import os; print(os.listdir('/tmp'), os.listdir('/dev'))"
        bomb = [StdinJob(_BOMB)] if profile == "procs" else []
        wide, honest, _, after, *_ = opened.run_stdin(
            [StdinJob(_WIDE), StdinJob(imports), StdinJob(_FILL), StdinJob(look), *bomb]
        )
        assert "ESCAPED" not in wide.stdout
        assert wide.stdout.count("stopped") == 15, wide
        assert honest.stdout == "b\n", honest
        assert after.stdout.startswith("[] "), "each program has a scratch folder of its own"
        if profile == "procs":
            shell = "import subprocess; print(subprocess.run('echo yes', shell=True, capture_output=True).stdout)"
            assert opened.run_stdin([StdinJob(shell)])[0].stdout == "b'yes\\n'\n", "even after a fork bomb"
