from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from selftrain.grading import MathJudge

_DATA = Path(os.environ.get("SELFTRAIN_DATA", Path(__file__).parents[2].parent / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Where the shared data sets lie."""
    if not _DATA.is_dir():
        pytest.skip(f"no shared data at {_DATA}; set SELFTRAIN_DATA")
    return _DATA


@pytest.fixture(scope="session")
def math_judge() -> Iterator[MathJudge]:
    with MathJudge() as judge:
        yield judge
