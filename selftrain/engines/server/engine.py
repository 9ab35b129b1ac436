"""Answers by a server; log-probabilities of given texts by the trainer's own weights."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future
from typing import Any

from selftrain.engines.base import Before, Save, units_by_length
from selftrain.engines.server.config import ServerConfig
from selftrain.engines.server.connection import Connection, connect
from selftrain.engines.server.managed import Started
from selftrain.engines.server.replies import Reply, logprob_of, read_reply, request, row_of, tokens_and_text
from selftrain.engines.transformers import TransformersEngine
from selftrain.errors import RunError
from selftrain.models.logprobs import sequence_logprobs
from selftrain.models.rendering import TokenizedExample
from selftrain.types import Prompt, Response, SamplingParams

#: Answers that are written down together. Small, for what a killed run loses is units in flight; a constant, for the
#: units of a run that is gone on with have to be the same whatever `max_concurrency` is by then.
ANSWERS_PER_UNIT = 16
#: So many times `max_concurrency` answers are asked for before the first are in, so that a free place is taken at once.
AHEAD = 2


class ServerEngine(Before):
    """Renders, plans and scores as `slow` does; who answers is another process, perhaps on another machine.

    Args:
        slow: the engine of the module that is trained.
        server: where answers come from.
        save: writes the weights of that module; for a server that is started.

    Raises:
        RunError, ModelError: there should be a server already, and it cannot be used.
    """

    slow: TransformersEngine

    def __init__(self, slow: TransformersEngine, server: ServerConfig, save: Save) -> None:
        self.slow, self._server = slow, server
        self._started = None
        if server.server_command is not None:
            self._started = Started(server.server_command, save, server.key())
        # One that is to be started is so when it is first asked: a run that goes on may have other weights by then.
        self._connection = None if self._started is not None else connect(server, None, slow)

    @property
    def how(self) -> str:
        if self._started is not None:
            return "servers that the run starts for its weights"
        return f"a server at {self._server.base_url}"

    def plan(self, prompts: Sequence[Prompt], n: int) -> list[list[int]]:
        lengths = [len(self.slow.renderer.prompt_ids(prompt)) for prompt in prompts]
        return units_by_length(lengths, max(1, ANSWERS_PER_UNIT // n))

    def logprob(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """In float32 whatever the setting, and never a server's: it may round, scale or tokenize otherwise."""
        return self.slow.logprob(prompts, completions)

    def generate(
        self,
        prompts: Sequence[Prompt],
        n: int,
        sampling: SamplingParams,
        key: str,
        weights_version: int,
        first: int = 0,
    ) -> list[Response]:
        return next(self.generate_units([prompts], n, sampling, key, weights_version, first))

    def generate_units(
        self, units: Sequence[Sequence[Prompt]], n: int, sampling: SamplingParams, key: str, weights_version: int,
        first: int = 0,
    ) -> Generator[list[Response], None, None]:  # fmt: skip
        client = self._connected().client
        waiting, asked = deque(units), deque[Future[list[Reply]]]()
        unfinished = 0  # answers of units that are asked for
        try:
            for unit in units:
                while waiting and (not asked or unfinished < AHEAD * self._server.max_concurrency):
                    bodies = self._bodies(waiting.popleft(), n, sampling, key, first)
                    asked.append(client.complete_all(bodies, read_reply))
                    unfinished += len(bodies)
                replies = asked[0].result()
                asked.popleft()
                unfinished -= len(replies)
                yield self._responses(unit, n, first, replies, weights_version)
        finally:
            for one in asked:
                one.cancel()

    def renew(self, save: Save) -> None:
        if self._started is None:
            raise RunError(
                f"the server at {self._server.base_url} cannot be given other weights",
                "it would go on answering with those it was started with",
                "use server_command, so that the run starts a server for each set of weights",
            )
        self._disconnect()
        self._started.renew(save)

    def rest(self) -> None:
        """A server that was started ends, and gives back its memory; one of somebody else's is let be."""
        if self._started is not None:
            self._disconnect()
            self._started.stop()

    def close(self) -> None:
        self._disconnect()
        if self._started is not None:
            self._started.close()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.client.close()
        self._connection = None

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = connect(self._server, self._started, self.slow)
        return self._connection

    def _bodies(
        self, prompts: Sequence[Prompt], n: int, sampling: SamplingParams, key: str, first: int
    ) -> list[dict[str, Any]]:
        extras, there = self._server.server_extras, self._connected()
        common = {"model": there.model} | ({"logprobs": 1} if there.gives_logprobs else {})
        return [
            request(self.slow.renderer, prompt, first + place, sampling, key, extras=extras) | common
            for prompt in prompts
            for place in range(n)
        ]

    def _responses(
        self, prompts: Sequence[Prompt], n: int, first: int, replies: Sequence[Reply], weights_version: int
    ) -> list[Response]:
        renderer = self.slow.renderer
        asked = [prompt for prompt in prompts for _ in range(n)]
        read = [
            tokens_and_text(reply, renderer, renderer.stop_texts(one))
            for reply, one in zip(replies, asked, strict=True)
        ]
        given = [logprob_of(reply, ids) for reply, (ids, _) in zip(replies, read, strict=True)]
        missing = [place for place, one in enumerate(given) if one is None]
        scored = dict(zip(missing, self._score([row_of(renderer, asked[i], read[i][0]) for i in missing]), strict=True))
        return [
            Response(
                prompt=asked[place],
                prompt_text=renderer.text(asked[place]),
                sample_index=first + place % n,
                text=text,
                token_ids=ids,
                logprob=scored[place] if theirs is None else theirs,
                finish_reason=replies[place].finish,
                model=self.name,
                weights_version=weights_version,
            )
            for place, ((ids, text), theirs) in enumerate(zip(read, given, strict=True))
        ]

    def _score(self, rows: Sequence[TokenizedExample]) -> list[float]:
        return sequence_logprobs(self.slow.model, rows, self.slow.renderer.pad_id, self.slow.score_tokens)
