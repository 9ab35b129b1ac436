from __future__ import annotations

from collections.abc import Iterator

import pytest

from selftrain.graders import MathGrader
from selftrain.graders.math.worker import MathWorker


@pytest.fixture(scope="session")
def math_worker() -> MathWorker:
    return MathWorker()


@pytest.fixture(scope="session")
def math_grader(math_worker: MathWorker) -> Iterator[MathGrader]:
    with MathGrader(worker=math_worker) as grader:
        yield grader
