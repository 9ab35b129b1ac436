"""A server that is there, is known by a name, and reads what we read."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any

from selftrain.engines.server.client import Client, RefusedError, UnansweredError
from selftrain.engines.server.config import ServerConfig
from selftrain.engines.server.managed import Started
from selftrain.engines.server.replies import Reply, logprob_of, read_reply, request, row_of, tokens_and_text
from selftrain.engines.transformers import TransformersEngine
from selftrain.errors import ModelError, RunError
from selftrain.models.logprobs import sequence_logprobs
from selftrain.types import Prompt, SamplingParams

#: Tries of a server that should be there already, before anything is paid for.
FIRST_TRIES = 3
#: Seconds between two looks at a server that is starting.
LOOK = 0.5
#: By how much its log-probabilities may differ from ours, in nats a token: bfloat16 comes to a few hundredths, another
#: temperature to more than one.
TOLERANCE = 0.1
#: What is compared: at a high temperature, so that figures which were scaled by it stand out.
_COMPARED = SamplingParams(temperature=2.0, max_completion_length=8)
#: Texts that are tried: of some our tokenizer makes other tokens than were drawn, where the server does not tell them.
_TEXTS = 8


@dataclass(frozen=True)
class Connection:
    """
    Args:
        model: the name it is asked for.
        gives_logprobs: of the tokens it draws it gives what `Response.logprob` sums up, whatever the temperature.
    """

    client: Client
    model: str
    gives_logprobs: bool


def connect(server: ServerConfig, started: Started | None, slow: TransformersEngine) -> Connection:
    """
    Args:
        started: starts it, and waits until it answers; None for the server at `base_url`.
        slow: the engine whose tokens and log-probabilities it is held to.

    Raises:
        RunError: it cannot be started, does not answer, or refuses.
        ModelError: which model is meant cannot be known, or it reads other tokens.
    """
    if started is None:
        assert server.base_url is not None
        client = Client(server.base_url, server, lambda: "", proxies=True)
    else:
        client = Client(started.start(), server, started.death, proxies=False)
    try:
        if started is None:
            return _look(client, server, slow, FIRST_TRIES)
        return _wait(client, server, slow, started)
    except BaseException:
        client.close()
        raise


def _wait(client: Client, server: ServerConfig, slow: TransformersEngine, started: Started) -> Connection:
    deadline = time.monotonic() + server.server_start_timeout
    while True:
        try:
            return _look(client, server, slow, 1)
        except UnansweredError as error:
            if death := started.death():
                raise _not_started(f"the server ended before it answered: {death}") from error
            if time.monotonic() > deadline:
                limit = f"{server.server_start_timeout:g} s"
                raise _not_started(f"the server did not answer within {limit}{started.last_words()}") from error
        time.sleep(LOOK)


def _not_started(found: str) -> RunError:
    return RunError(
        found,
        "it is started by server_command and has to answer /v1/models and /v1/completions",
        "mend the command, or give it longer: `selftrain resume RUN --set server_command=... server_start_timeout=...`",
    )


def _look(client: Client, server: ServerConfig, slow: TransformersEngine, tries: int) -> Connection:
    names = client.models(tries) if server.server_model is None else [server.server_model]
    if len(names) != 1:
        raise ModelError(
            f"the server at {client.base_url} lists {len(names)} models: {', '.join(names[:20])}",
            "which of them is meant cannot be known",
            "give one as --server_model",
        )
    return Connection(client, names[0], _compare(client, names[0], server, slow, tries))


def _compare(client: Client, model: str, server: ServerConfig, slow: TransformersEngine, tries: int) -> bool:
    """Has it read and write a little; whether its log-probabilities mean the same as ours.

    Raises:
        ModelError: it reads other tokens.
    """
    # New each time, so that no cache of prompts can shorten the count.
    prompt, renderer = Prompt("compared", f"{secrets.token_hex(8)}: what is 2 + 3?"), slow.renderer

    def ask(number: int, **more: Any) -> Reply:
        body = request(renderer, prompt, number, _COMPARED, "compared", extras=server.server_extras)
        return client.complete(body | {"model": model} | more, read_reply, tries)

    try:
        reply = ask(0, logprobs=1)
    except RefusedError:  # perhaps it only gives no log-probabilities
        reply = ask(0)
    expected = len(renderer.prompt_ids(prompt))
    if reply.prompt_tokens not in (None, expected):
        raise ModelError(
            f"the server at {client.base_url} read {reply.prompt_tokens} tokens where {slow.name} has {expected}",
            "it has another tokenizer, or puts a start token in front that the model does not know",
            f"serve the very model that is given to selftrain; the server was asked for {model!r}",
        )
    for number in range(1, _TEXTS):
        if reply.logprobs is None:
            return False
        if (agree := _agree(prompt, reply, slow)) is not None:
            return agree
        reply = ask(number, logprobs=1)
    return False


def _agree(prompt: Prompt, reply: Reply, slow: TransformersEngine) -> bool | None:
    """None where it cannot be told from this text."""
    renderer = slow.renderer
    ids, _ = tokens_and_text(reply, renderer, renderer.stop_texts(prompt))
    theirs = logprob_of(reply, ids)
    if theirs is None or not ids:
        return None
    (ours,) = sequence_logprobs(slow.model, [row_of(renderer, prompt, ids)], renderer.pad_id, slow.score_tokens)
    return abs(ours - theirs) <= TOLERANCE * len(ids)
