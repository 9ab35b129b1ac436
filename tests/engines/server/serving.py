"""The test server in a thread of this process, and engines that use it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from selftrain.engines.server.config import ServerConfig
from selftrain.engines.server.engine import ServerEngine
from selftrain.models.loading import LoadedModel
from selftrain.models.prompts import PromptConfig
from selftrain.models.seeds import seed_model
from tests.conftest import engine_of
from tests.engines.server.openai_server import Model, State, options_of, server_of

#: Of one seed model, shared by all servers of this process.
_MODELS: dict[str, Model] = {}


@contextmanager
def serving(*words: str, model: str = "llama") -> Iterator[State]:
    """A server over real HTTP; its address is `state.url`."""
    folder = str(seed_model(model))
    if model not in _MODELS:
        _MODELS[model] = Model(folder)
    state = State(options_of(["--model", folder, *words]))
    server = server_of(_MODELS[model], state)
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def asking(
    state: State, loaded: LoadedModel, prompt_config: PromptConfig | None = None, **settings: Any
) -> Iterator[ServerEngine]:
    """An engine that is connected to that server, with nothing on the server's record."""
    state.begin()
    reference = engine_of(loaded, prompt_config=prompt_config)
    with closing(
        ServerEngine(reference, ServerConfig(base_url=state.url, **settings), save=lambda folder: None)
    ) as engine:
        state.begin()
        yield engine
