"""What a server is sent beside the prompt."""

from __future__ import annotations

import pytest

from selftrain.engines.request import GenerateRequest
from selftrain.engines.server.requests import request_bodies
from selftrain.errors import SettingsError
from selftrain.models.loading import LoadedModel
from selftrain.types import Prompt, SamplingParams
from tests.conftest import engine_of


def test_a_repetition_penalty_is_always_said_and_needs_a_server_that_takes_it(llama: LoadedModel) -> None:
    renderer, prompts = engine_of(llama).renderer, [Prompt("p", "2+3?")]
    for penalty in (1.0, 1.1):
        request = GenerateRequest(prompts, 1, SamplingParams(0.0, repetition_penalty=penalty), "k")
        assert request_bodies(request, renderer, extras=True)[0]["repetition_penalty"] == penalty
    with pytest.raises(SettingsError, match=r"a repetition penalty of 1\.1 is asked for, and server_extras"):
        request_bodies(request, renderer, extras=False)
