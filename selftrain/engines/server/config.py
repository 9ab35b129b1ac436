"""Settings of an OpenAI-compatible server. Imports nothing heavy."""

from __future__ import annotations

import os

from selftrain.config import config_dataclass, setting
from selftrain.errors import SettingsError

EXAMPLE = "--server_command 'vllm serve {model} --port {port} --dtype bfloat16'"


@config_dataclass
class ServerConfig:
    """For `engine: openai`, which takes either a `base_url` or a `server_command`. All defaults are ours."""

    base_url: str | None = setting(
        None,
        "a running server of OpenAI's completions API, such as http://127.0.0.1:8000/v1; it serves one set of weights, "
        "so it can be evaluated and not trained",
        resumable=True,
    )
    server_model: str | None = setting(None, "model name to request; by default the one that /models lists")
    api_key_env: str = setting(
        "OPENAI_API_KEY",
        "environment variable that holds the server's API key; the key itself is never written down",
        resumable=True,
    )
    server_command: str | None = setting(
        None,
        "a command with {model} and {port} that serves a folder of weights on 127.0.0.1; restarted after each "
        "training, and stopped while a model trains",
        resumable=True,
    )
    server_start_timeout: float = setting(
        600.0, "seconds that a started server may take to become ready", gt=0, resumable=True
    )
    server_extras: bool = setting(
        True,
        "also send parameters outside OpenAI's API: top_k, min_p, repetition_penalty, return_token_ids; without them "
        "servers use defaults of their own",
    )
    max_concurrency: int = setting(64, "concurrent requests", ge=1, resumable=True)
    request_timeout: float = setting(
        600.0, "seconds that one request may take, including its whole response", gt=0, resumable=True
    )
    max_retries: int = setting(
        8,
        "retries, with exponential backoff, while a server is unreachable, overloaded or failing",
        ge=0,
        resumable=True,
    )

    def key(self) -> str | None:
        """What is sent with every request, where there is something.

        Raises:
            SettingsError: there is nothing where something is named, or it could not be sent.
        """
        value = os.environ.get(self.api_key_env, "").strip()
        if not value and self.api_key_env != ServerConfig.api_key_env:
            raise SettingsError(
                "api_key_env names a variable that is not set", "a server would be asked without the key", "export it"
            )
        if not (value.isascii() and value.isprintable()):
            raise SettingsError(
                "the variable that api_key_env names holds no key", "keys are printable ASCII", "export it anew"
            )
        return value or None
