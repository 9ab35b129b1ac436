"""A server that holds a key and may lie, and an engine that asks it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from selftrain.engines.server import client
from selftrain.engines.server.engine import ServerEngine
from selftrain.models.loading import LoadedModel
from tests.engines.server.hostile import KEY
from tests.engines.server.openai_server import State
from tests.engines.server.serving import asking, serving


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow at once."""
    monkeypatch.setattr(client, "FIRST_WAIT", 0.02)


@pytest.fixture(scope="package")
def liar() -> Iterator[State]:
    with serving("--key", KEY) as served:
        yield served


@pytest.fixture
def lied_to(
    liar: State, llama: LoadedModel, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ServerEngine]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with asking(liar, llama, request_timeout=2.0, max_retries=1) as one:
        yield one
