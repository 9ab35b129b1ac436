"""Packages that bring a method or an engine, installed as pip would leave them, and processes that find them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def install(site: Path, name: str, page: str, entry_points: str) -> dict[str, str]:
    """
    Args:
        page: the one module of the package.

    Returns:
        The environment of processes that find it.
    """
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (site / f"{name}.py").write_text(page)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}


def selftrain(*words: str, env: Mapping[str, str], code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "selftrain", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=env)
    assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
    return done


#: Runs the commands of its argument one after the other.
_EACH = """
import json, sys
from selftrain.cli.main import run_cli
for words in json.loads(sys.argv[1]):
    code = run_cli(words)
    print(f"\\0{code}\\0", file=sys.stderr)
"""


def refused(commands: Sequence[Sequence[str]], env: Mapping[str, str]) -> list[str]:
    """The messages of commands that end with a mistake of the user's, all run by one process: it imports once."""
    done = subprocess.run(
        [sys.executable, "-c", _EACH, json.dumps(commands)], capture_output=True, text=True, timeout=600, env=env
    )
    *parts, rest = done.stderr.split("\0")
    assert done.returncode == 0 and not rest.strip() and "Traceback" not in done.stderr, done.stderr
    assert parts[1::2] == ["64"] * len(commands), done.stderr
    return parts[::2]
