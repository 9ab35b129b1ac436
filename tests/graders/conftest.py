from __future__ import annotations

from collections.abc import Iterator

import pytest

from selftrain.graders import MathGrader


@pytest.fixture(scope="session")
def math_grader() -> Iterator[MathGrader]:
    with MathGrader() as grader:
        yield grader
