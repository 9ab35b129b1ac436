"""Pythons that have vLLM: the real one where there is one, and stand-ins for those that cannot be had."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from selftrain.engines.vllm.find_vllm import vllm_version
from selftrain.errors import SettingsError

VARIABLE = "SELFTRAIN_VLLM_PYTHON"


def python_with_vllm() -> str:
    """The Python to test with; skips where there is none."""
    python = os.environ.get(VARIABLE, sys.executable)
    try:
        vllm_version(python)
    except SettingsError as error:
        pytest.skip(f"{str(error).splitlines()[0]}; set {VARIABLE} to a Python that has it")
    return python


def stand_in(folder: Path, package: str, version: str = "0.32.0", *, can_sleep: bool = False) -> str:
    """A Python whose `vllm` is the text `package`."""
    info = folder / f"vllm-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n")
    (info / "top_level.txt").write_text("vllm\n")
    (folder / "vllm").mkdir()
    (folder / "vllm" / "__init__.py").write_text(package)
    (folder / "vllm" / "platforms.py").write_text(
        "class current_platform:\n"
        "    is_cpu = staticmethod(lambda: False)\n"
        f"    is_sleep_mode_available = staticmethod(lambda: {can_sleep})\n"
    )
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={folder} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return str(python)


def group(pid: int) -> list[int]:
    """Processes of the group that `pid` leads, zombies left out."""
    found = []
    for one in Path("/proc").iterdir():
        try:
            state, _, its_group = (one / "stat").read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if one.name.isdigit() and int(its_group) == pid and state != "Z":
            found.append(int(one.name))
    return found


def gone(pid: int, seconds: float = 60) -> bool:
    until = time.monotonic() + seconds
    while group(pid) and time.monotonic() < until:
        time.sleep(0.1)
    return not group(pid)
