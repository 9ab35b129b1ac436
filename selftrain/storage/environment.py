"""Versions and platform, for bug reports and for readers of results."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

PACKAGES = ("selftrain", "torch", "transformers", "tokenizers", "datasets", "math-verify", "pyarrow", "duckdb", "numpy")


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Of the packages that are installed."""
    found = {}
    for package in packages:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def environment() -> dict[str, Any]:
    """For environment.json. Contains no user name, path or environment variable."""
    return {
        "python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}",
        "cpu_count": os.cpu_count(), "packages": versions_of(PACKAGES),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
