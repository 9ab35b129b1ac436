"""A server that replies, serves one model, and reads the same tokens as this process."""

from __future__ import annotations

import secrets
import time
from typing import Any

from selftrain.engines.request import GenerateRequest
from selftrain.engines.server.client import Client, RequestRejectedError, RetriesExhaustedError
from selftrain.engines.server.config import ServerConfig
from selftrain.engines.server.managed_server import ManagedServer
from selftrain.engines.server.replies import Completion, ReplyReader, row_of
from selftrain.engines.server.requests import request_bodies
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
    connection = Connection(client, config, reference)
    try:
        if managed is None:
            connection.check(FIRST_TRIES)
        else:
            _wait(connection, managed)
    except BaseException:
        client.close()
        raise
    return connection


def _wait(connection: Connection, managed: ManagedServer) -> None:
    limit = connection.config.server_start_timeout
    deadline = time.monotonic() + limit
    while True:
        try:
            return connection.check(tries=1)
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


class Connection:
    """To be checked before it is used."""

    def __init__(self, client: Client, config: ServerConfig, reference: TransformersEngine) -> None:
        self.client, self.config, self._reference = client, config, reference
        vocabulary = reference.model.get_input_embeddings().weight.shape[0]
        self.read = ReplyReader(reference.renderer, vocabulary, client.secret)
        #: The name under which the server serves the model.
        self._model = config.server_model or ""
        #: With the tokens come log-probabilities at temperature 1, whatever the temperature.
        self._returns_logprobs = False

    def bodies(self, request: GenerateRequest) -> list[dict[str, Any]]:
        common = {"model": self._model} | ({"logprobs": 1} if self._returns_logprobs else {})
        bodies = request_bodies(request, self._reference.renderer, extras=self.config.server_extras)
        return [body | common for body in bodies]

    def check(self, tries: int) -> None:
        """Which model it serves, and whether it is the reference's, as far as can be seen from outside.

        Raises:
            RunError, ModelError: see `connect`.
        """
        if self.config.server_model is None:
            names = self.client.models(tries)
            if len(names) != 1:
                raise ModelError(
                    f"the server at {self.client.base_url} lists {len(names)} models: {', '.join(names[:20])}",
                    "which one to use cannot be known",
                    "give one as --server_model",
                )
            self._model = names[0]
        # New each time, so that no prompt cache can shorten the count.
        prompt = Prompt("compared", f"{secrets.token_hex(8)}: what is 2 + 3?")
        bodies = self.bodies(GenerateRequest([prompt], _TEXTS, _COMPARED, "compared"))
        try:
            (reply,) = self.client.complete([bodies[0] | {"logprobs": 1}], self.read, tries).result()
        except RequestRejectedError:  # perhaps for the log-probabilities only
            (reply,) = self.client.complete(bodies[:1], self.read, tries).result()
        self._check_tokens(prompt, reply)
        for body in bodies[1:]:
            if not reply.has_logprobs:
                return
            if (agree := self._agree(prompt, reply)) is not None:
                self._returns_logprobs = agree
                return
            (reply,) = self.client.complete([body | {"logprobs": 1}], self.read, tries).result()

    def _check_tokens(self, prompt: Prompt, reply: Completion) -> None:
        expected = len(self._reference.renderer.prompt_ids(prompt))
        if reply.prompt_tokens not in (None, expected):
            raise ModelError(
                f"the server at {self.client.base_url} read {reply.prompt_tokens} tokens where "
                f"{self._reference.name} has {expected}",
                "it has another tokenizer, or adds a start token that the model does not know",
                f"serve the very model that is given to selftrain; the server was asked for {self._model!r}",
            )

    def _agree(self, prompt: Prompt, reply: Completion) -> bool | None:
        """Whether the log-probabilities mean the same as ours; None where this text cannot tell."""
        reference, renderer = self._reference, self._reference.renderer
        ids, theirs = reply.token_ids, reply.logprob
        if theirs is None or not ids:
            return None
        row = row_of(renderer, prompt, ids)
        (ours,) = sequence_logprobs(reference.model, [row], renderer.pad_id, reference.max_tokens_per_batch)
        return abs(ours - theirs) <= TOLERANCE * len(ids)
