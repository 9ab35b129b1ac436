"""The C libraries that are built with the package where there is a compiler; see hatch_build.py."""

from __future__ import annotations

import ctypes
import platform
from pathlib import Path

import torch


def load_library(path: Path) -> ctypes.CDLL | None:
    """None where it was not built, or this processor cannot run it."""
    if platform.machine() == "x86_64" and "AVX" not in torch.backends.cpu.get_cpu_capability():
        return None
    try:
        return ctypes.CDLL(str(path))
    except OSError:
        return None
