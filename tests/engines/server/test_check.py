"""What is wrong about a server is said before anything is loaded, and no secret is repeated."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from selftrain.engines.registry import EngineUsage, check_engine
from selftrain.engines.server.config import ServerConfig
from selftrain.errors import SettingsError
from tests.test_light import loaded_by

COMMAND = f"{sys.executable} serve {{model}} --port {{port}}"
HERE = "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize(
    ("given", "asked", "says"),
    [
        ({}, {}, "no server is given[\\s\\S]*--server_command"),
        ({"base_url": HERE, "server_command": COMMAND}, {}, "both base_url and server_command are given"),
        ({"base_url": HERE}, {"several_weights": True}, "one set of weights[\\s\\S]*--server_command 'vllm serve"),
        ({"base_url": "127.0.0.1:8000/v1"}, {}, "not the address of a server"),
        ({"base_url": "http://here:many/v1"}, {}, "not the address of a server"),
        ({"base_url": "http://ann:hush-hush@here/v1"}, {}, "more than an address"),
        ({"base_url": "http://here/v1?key=hush-hush"}, {}, "more than an address"),
        ({"base_url": HERE, "api_key_env": "sk-hush-hush"}, {}, "not the name of an environment variable"),
        ({"base_url": HERE, "api_key_env": "hush_hush"}, {}, "a variable that is not set"),
        ({"base_url": HERE, "api_key_env": "NOT_SENDABLE"}, {}, "holds no key"),
        ({"server_command": "python serve {model}"}, {}, "has no {port}"),
        ({"server_command": "python 'serve {model} {port}"}, {}, "cannot be split into words"),
        ({"server_command": "no-such-server {model} {port}"}, {}, "there is no such program"),
        ({"base_url": HERE, "server_extras": False}, {"top_k": 40}, "--top_k 0"),
        ({"base_url": HERE}, {"engine": "auto"}, "add --engine openai"),
    ],
)
def test_what_cannot_work_is_refused(
    given: dict[str, Any], asked: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOT_SENDABLE", "hush\nhush")
    with pytest.raises(SettingsError, match=says) as refused:
        check_engine(asked.pop("engine", "openai"), {"server": ServerConfig(**given)}, EngineUsage(**asked))
    assert "hush" not in str(refused.value) and refused.value.do


def test_what_can_work_is_not() -> None:
    several = EngineUsage(several_weights=True, top_k=40)
    check_engine("openai", {"server": ServerConfig(base_url=HERE)}, EngineUsage())
    check_engine("openai", {"server": ServerConfig(server_command=COMMAND)}, several)
    check_engine("auto", {"server": ServerConfig()}, several)


def test_numbers_are_held_to_what_they_mean() -> None:
    for wrong in (
        {"max_concurrency": 0},
        {"request_timeout": 0.0},
        {"max_retries": -1},
        {"server_start_timeout": -1.0},
    ):
        with pytest.raises(SettingsError, match=next(iter(wrong))):
            ServerConfig(**wrong)


def test_its_flags_load_nothing_heavy() -> None:
    assert loaded_by("import selftrain.engines.server.config; assert 'httpx2' not in sys.modules") == set()


@pytest.mark.parametrize("name", ["base_url", "server_command", "server_model"])
def test_a_setting_that_repeats_the_key_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Settings are written to the run's folder."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789-secret")
    given: dict[str, Any] = {
        "base_url": {"base_url": "http://127.0.0.1:1/sk-0123456789-secret/v1"},
        "server_command": {"server_command": f"{COMMAND} --api-key sk-0123456789-secret"},
        "server_model": {"base_url": HERE, "server_model": "sk-0123456789-secret"},
    }[name]
    with pytest.raises(SettingsError, match=f"{name} repeats the API key") as refused:
        check_engine("openai", {"server": ServerConfig(**given)}, EngineUsage())
    assert "secret" not in str(refused.value)
