from __future__ import annotations

from collections.abc import Iterator

import pytest

from selftrain.grading import MathJudge


@pytest.fixture(scope="session")
def math_judge() -> Iterator[MathJudge]:
    with MathJudge() as judge:
        yield judge
