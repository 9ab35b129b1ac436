from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def yaml_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | bytes], Path]:
    """Writes run.yaml into an empty folder, makes that the current one, and returns the relative path."""
    monkeypatch.chdir(tmp_path)

    def write(text: str | bytes) -> Path:
        path = Path("run.yaml")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write
