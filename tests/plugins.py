"""Packages that bring a method or an engine, installed as pip would leave them, and processes that find them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
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
