"""A disk that is really full, and a folder that really cannot be written."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.journal.driver import Driver, tree
from tests.storage.journal.test_kills import Whole

_root = pytest.mark.skipif(os.getuid() != 0, reason="only root may mount")


def mount(*command: str) -> None:
    if subprocess.run(["mount", *command], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which hardly has room for the first round."""
    mount("-t", "tmpfs", "-o", "size=96k", "tmpfs", str(tmp_path))
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


@_root
def test_a_full_disk_stops_the_run_and_free_space_lets_it_resume(small: Path, driver: Driver, whole: Whole) -> None:
    stops, size = [], 96
    while (played := driver.play(small / "run")).code != 0:
        assert played.code == 74 and "No space left on device" in played.error, played.notes
        stops.append(played.error.splitlines()[0].removeprefix(str(small)))
        size += 4
        mount("-o", f"remount,size={size}k", str(small))
    print(*stops, sep="\n")
    assert len(stops) > 2 and tree(small / "run") == whole()[1]


@_root
def test_a_read_only_folder_is_named(small: Path, driver: Driver) -> None:
    driver.play(small / "run", {"call": 40, "how": "before"})
    mount("-o", "remount,ro", str(small))
    for folder in (small / "run", small / "new"):
        played = driver.play(folder)
        assert played.code == 74 and f"{folder}" in played.error and "Read-only file system" in played.error
        assert played.error.endswith("make it writable and resume")
