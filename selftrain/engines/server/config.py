"""Settings of an OpenAI-compatible server, and the checks that need no request. Imports nothing heavy."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from urllib.parse import urlsplit

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

    def require_usable(self, engine: str, *, several_weights: bool, top_k: int = 0) -> None:
        """What can be known before anything is loaded.

        Args:
            engine: what answers; where it is no server none may be given.
            several_weights: it will be asked with more weights than one set: trained ones, or a baseline's.
            top_k: of the answers that will be asked for.

        Raises:
            SettingsError: it cannot work. Values that may hold a secret are not repeated.
        """
        if engine != "openai":
            self._refuse_without_use(engine)
            return
        if (self.base_url is None) == (self.server_command is None):
            raise SettingsError(
                "engine is 'openai', and "
                + ("nothing says where" if self.base_url is None else "two things say where"),
                "a server either runs already (base_url) or is started by the run (server_command)",
                f"give one of the two: --base_url http://127.0.0.1:8000/v1, or {EXAMPLE}",
            )
        if not re.fullmatch(r"[A-Za-z_]\w*", self.api_key_env):
            raise SettingsError(
                "api_key_env is not the name of an environment variable",
                "settings are written to the run's folder, so they hold the name and never the key",
                "export OPENAI_API_KEY=..., or another variable and its name as --api_key_env",
            )
        self.key()
        if top_k and not self.server_extras:
            raise SettingsError(
                f"top_k is {top_k}, and server_extras is off",
                "OpenAI's API has no top_k, so the answers would be drawn from all tokens",
                "use --top_k 0, or a server that takes top_k (vLLM, SGLang, llama.cpp) with --server_extras true",
            )
        if self.base_url is not None:
            _check_url(self.base_url, several_weights)
        if self.server_command is not None:
            _check_command(self.server_command)

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

    def _refuse_without_use(self, engine: str) -> None:
        for name in ("base_url", "server_command"):
            if getattr(self, name) is not None:
                raise SettingsError(
                    f"{name} is given, and engine is {engine!r}", "no server would be asked", "add --engine openai"
                )


def _check_url(base_url: str, several_weights: bool) -> None:
    try:
        parts = urlsplit(base_url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        raise _no_address() from None
    if parts.username or parts.password or parts.query or parts.fragment:
        raise SettingsError(
            "base_url holds more than an address",
            "a user name, a password or what follows ? or # may be a secret, and settings are written to the run's "
            "folder",
            "give scheme, host, port and path only; a key goes into the variable that api_key_env names",
        )
    if not whole:
        raise _no_address()
    if several_weights:
        raise SettingsError(
            "a server at base_url holds one set of weights, and more than one would be asked",
            "nothing can give it trained weights, or those of a baseline",
            f"let the run start servers itself: {EXAMPLE}; `selftrain eval` of one model works with base_url",
        )


def _no_address() -> SettingsError:
    return SettingsError(
        "base_url is no address of a server", "it has a scheme, a host and a path", "e.g. http://127.0.0.1:8000/v1"
    )


def _check_command(command: str) -> None:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise SettingsError(
            f"server_command cannot be cut into words: {error}", "no shell reads it", f"e.g. {EXAMPLE}"
        ) from None
    missing = [name for name in ("{model}", "{port}") if not any(name in word for word in words)]
    if missing:
        raise SettingsError(
            f"server_command has no {' and no '.join(missing)}",
            "the server has to be told which weights to load and where to listen",
            f"e.g. {EXAMPLE}",
        )
    if shutil.which(words[0]) is None:
        raise SettingsError(
            f"server_command starts with {words[0]!r}, and there is no such program",
            "it is neither a file that can be run nor on the PATH",
            "install the server, or give the program's whole path",
        )
