"""A server that replies, serves one model, and reads the same tokens as this process."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any

from selftrain.engines.request import GenerateRequest
from selftrain.engines.server.client import Client, RequestRejectedError, RetriesExhaustedError
from selftrain.engines.server.config import ServerConfig
from selftrain.engines.server.managed_server import ManagedServer
from selftrain.engines.server.replies import (
    Reply,
    logprob_of,
    read_reply,
    request_bodies,
    row_of,
    tokens_and_text,
)
from selftrain.engines.transformers import TransformersEngine
from selftrain.errors import ModelError, RunError
from selftrain.models.logprobs import sequence_logprobs
from selftrain.types import Prompt, SamplingParams

#: Tries for a server that should run already.
FIRST_TRIES = 3
#: Seconds between two looks at a server that is starting.
POLL_SECONDS = 0.5
#: Nats a token by which its log-probabilities may differ from ours: bfloat16 causes a few hundredths, another
#: temperature more than one.
TOLERANCE = 0.1
#: At a high temperature, so that log-probabilities scaled by it stand out.
_COMPARED = SamplingParams(temperature=2.0, max_completion_length=8)
#: Texts tried: where the server returns no ids, our tokenizer makes other tokens of some than were sampled.
_TEXTS = 8


@dataclass(frozen=True)
class Connection:
    """
    Args:
        model: the name under which the server serves it.
        returns_logprobs: with the tokens come log-probabilities at temperature 1, whatever the temperature.
    """

    client: Client
    model: str
    returns_logprobs: bool

    def bodies(self, request: GenerateRequest, reference: TransformersEngine, config: ServerConfig) -> list[Any]:
        common = {"model": self.model} | ({"logprobs": 1} if self.returns_logprobs else {})
        return [body | common for body in request_bodies(request, reference.renderer, extras=config.server_extras)]


def connect(config: ServerConfig, managed: ManagedServer | None, reference: TransformersEngine) -> Connection:
    """
    Args:
        managed: is started and waited for; None for the server at `base_url`.
        reference: its tokens and log-probabilities are what the server's are compared with.

    Raises:
        RunError: the server cannot be started, does not reply, or rejects requests.
        ModelError: it serves several models, or reads other tokens.
    """
    if managed is None:
        assert config.base_url is not None
        client = Client(config.base_url, config, lambda: "", proxies=True)
    else:
        client = Client(managed.start(), config, managed.failure, proxies=False)
    check = _Check(client, config, reference)
    try:
        return check.run(FIRST_TRIES) if managed is None else _wait(check, managed)
    except BaseException:
        client.close()
        raise


def _wait(check: _Check, managed: ManagedServer) -> Connection:
    limit = check.config.server_start_timeout
    deadline = time.monotonic() + limit
    while True:
        try:
            return check.run(tries=1)
        except RetriesExhaustedError as error:
            if failure := managed.failure():
                raise _not_started(f"the server ended before it replied: {failure}") from error
            if time.monotonic() > deadline:
                raise _not_started(f"the server did not reply within {limit:g} s{managed.last_output()}") from error
        time.sleep(POLL_SECONDS)


def _not_started(found: str) -> RunError:
    return RunError(
        found,
        "it is started by server_command and has to serve /v1/models and /v1/completions",
        "correct the command, or give it longer: "
        "`selftrain resume RUN --set server_command=... server_start_timeout=...`",
    )


@dataclass(frozen=True)
class _Check:
    """Whether the server is what it should be."""

    client: Client
    config: ServerConfig
    reference: TransformersEngine

    def run(self, tries: int) -> Connection:
        server_model = self.config.server_model
        names = self.client.models(tries) if server_model is None else [server_model]
        if len(names) != 1:
            raise ModelError(
                f"the server at {self.client.base_url} lists {len(names)} models: {', '.join(names[:20])}",
                "which one to use cannot be known",
                "give one as --server_model",
            )
        return Connection(self.client, names[0], self._compare(names[0], tries))

    def _compare(self, model: str, tries: int) -> bool:
        """Generates a little; whether its log-probabilities mean the same as ours.

        Raises:
            ModelError: it reads other tokens.
        """
        # New each time, so that no prompt cache can shorten the count.
        prompt = Prompt("compared", f"{secrets.token_hex(8)}: what is 2 + 3?")
        request = GenerateRequest([prompt], _TEXTS, _COMPARED, "compared")
        bodies = request_bodies(request, self.reference.renderer, extras=self.config.server_extras)

        def complete(number: int, **more: Any) -> Reply:
            return self.client.complete(bodies[number] | {"model": model} | more, read_reply, tries)

        try:
            reply = complete(0, logprobs=1)
        except RequestRejectedError:  # perhaps for the log-probabilities only
            reply = complete(0)
        expected = len(self.reference.renderer.prompt_ids(prompt))
        if reply.prompt_tokens not in (None, expected):
            raise ModelError(
                f"the server at {self.client.base_url} read {reply.prompt_tokens} tokens where "
                f"{self.reference.name} has {expected}",
                "it has another tokenizer, or adds a start token that the model does not know",
                f"serve the very model that is given to selftrain; the server was asked for {model!r}",
            )
        for number in range(1, _TEXTS):
            if reply.logprobs is None:
                return False
            if (agree := self._agree(prompt, reply)) is not None:
                return agree
            reply = complete(number, logprobs=1)
        return False

    def _agree(self, prompt: Prompt, reply: Reply) -> bool | None:
        """None where this text cannot tell."""
        reference, renderer = self.reference, self.reference.renderer
        ids, _ = tokens_and_text(reply, renderer, renderer.stop_texts(prompt))
        theirs = logprob_of(reply, ids)
        if theirs is None or not ids:
            return None
        row = row_of(renderer, prompt, ids)
        (ours,) = sequence_logprobs(reference.model, [row], renderer.pad_id, reference.max_tokens_per_batch)
        return abs(ours - theirs) <= TOLERANCE * len(ids)
