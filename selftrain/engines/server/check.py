"""Whether a server can do what a run will ask of it; found out before anything is loaded."""

from __future__ import annotations

import re
import shlex
import shutil
from importlib.util import find_spec
from urllib.parse import urlsplit

from selftrain.engines.registry import EngineUsage
from selftrain.engines.server.config import EXAMPLE, ServerConfig
from selftrain.engines.server.secret import Secret
from selftrain.errors import SettingsError


def check(config: ServerConfig, usage: EngineUsage) -> None:
    """
    Raises:
        SettingsError: it cannot work. Values that may hold a secret are not repeated.
    """
    if (config.base_url is None) == (config.server_command is None):
        raise SettingsError(
            "engine is 'openai', and "
            + ("no server is given" if config.base_url is None else "both base_url and server_command are given"),
            "a server either runs already (base_url) or is started by the run (server_command)",
            f"give one of the two: --base_url http://127.0.0.1:8000/v1, or {EXAMPLE}",
        )
    if find_spec("httpx2") is None:
        raise SettingsError(
            "engine is 'openai', and httpx2 is not installed",
            "requests to servers are sent with it",
            "pip install 'selftrain[openai]'",
        )
    if not re.fullmatch(r"[A-Za-z_]\w*", config.api_key_env):
        raise SettingsError(
            "api_key_env is not the name of an environment variable",
            "settings are written to the run's folder, so they hold the name and never the key",
            "export OPENAI_API_KEY=..., or another variable and its name as --api_key_env",
        )
    _check_no_key(config)
    if usage.top_k and not config.server_extras:
        raise SettingsError(
            f"top_k is {usage.top_k}, and server_extras is off",
            "OpenAI's API has no top_k, so responses would be sampled from all tokens",
            "use --top_k 0, or a server that takes top_k (vLLM, SGLang, llama.cpp) with --server_extras true",
        )
    if config.base_url is not None:
        _check_url(config.base_url, usage)
    if config.server_command is not None:
        _check_command(config.server_command)


def _check_no_key(config: ServerConfig) -> None:
    """
    Raises:
        SettingsError: there is no key where one is named, or another setting repeats it.
    """
    secret = Secret(config.key())
    for name in ("base_url", "server_model", "server_command"):
        if secret.is_in(getattr(config, name) or ""):
            raise SettingsError(
                f"{name} repeats the API key",
                "settings are written to the run's folder",
                "leave it out: it is sent as a bearer token, and a server that is started finds it in its environment",
            )


def _check_url(base_url: str, usage: EngineUsage) -> None:
    try:
        parts = urlsplit(base_url)
        complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is not a number
        raise _not_an_address() from None
    if parts.username or parts.password or parts.query or parts.fragment:
        raise SettingsError(
            "base_url holds more than an address",
            "a user name, a password or what follows ? or # may be a secret, and settings are written to the run's "
            "folder",
            "give scheme, host, port and path only; a key goes into the variable that api_key_env names",
        )
    if not complete:
        raise _not_an_address()
    if usage.several_weights:
        raise SettingsError(
            "a server at base_url holds one set of weights, and the run needs several",
            "it cannot be given trained weights, or those of a baseline",
            f"let the run start servers itself: {EXAMPLE}; `selftrain eval` of one model works with base_url",
        )


def _not_an_address() -> SettingsError:
    return SettingsError(
        "base_url is not the address of a server",
        "it has a scheme, a host and a path",
        "for example http://127.0.0.1:8000/v1",
    )


def _check_command(command: str) -> None:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise SettingsError(
            f"server_command cannot be split into words: {error}", "it is not run by a shell", f"for example {EXAMPLE}"
        ) from None
    missing = [name for name in ("{model}", "{port}") if not any(name in word for word in words)]
    if missing:
        raise SettingsError(
            f"server_command has no {' and no '.join(missing)}",
            "the server has to be told which weights to load and where to listen",
            f"for example {EXAMPLE}",
        )
    if shutil.which(words[0]) is None:
        raise SettingsError(
            f"server_command starts with {words[0]!r}, and there is no such program",
            "it is neither an executable file nor on the PATH",
            "install the server, or give the full path of the program",
        )
