"""A server generates; given texts are scored by the trainer's own weights."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future

from selftrain.engines.base import Engine, SaveWeights, batches_by_length
from selftrain.engines.context import EngineContext
from selftrain.engines.request import GenerateRequest
from selftrain.engines.server.config import ServerConfig
from selftrain.engines.server.connection import Connection, connect
from selftrain.engines.server.managed_server import ManagedServer
from selftrain.engines.server.replies import Completion, row_of
from selftrain.engines.transformers import TransformersEngine
from selftrain.errors import RunError
from selftrain.models.logprobs import sequence_logprobs
from selftrain.types import Prompt, Response

#: Responses that are recorded together. Few, as a killed run loses the batches in flight; and a constant, as a resumed
#: run needs the same batches whatever `max_concurrency` it has.
RESPONSES_PER_BATCH = 16
#: Requests in flight, as a multiple of `max_concurrency`, so that a free slot is taken at once.
AHEAD = 2


def build(context: EngineContext) -> Engine:
    """`--engine openai`."""
    return ServerEngine(context.reference, context.options, context.save)


class ServerEngine:
    """
    Args:
        reference: around the live module; renders prompts, plans, scores texts.
        config: says which server.
        save: writes the live weights, for a server that the run starts.

    Raises:
        RunError, ModelError: a server should run already, and cannot be used.
    """

    def __init__(self, reference: TransformersEngine, config: ServerConfig, save: SaveWeights) -> None:
        self.reference, self.name, self._config = reference, reference.name, config
        self.prompt_text, self.too_long = reference.prompt_text, reference.too_long
        # Never by a server, which may round, scale or tokenize differently.
        self.logprob, self.num_tokens = reference.logprob, reference.num_tokens
        self._managed, self._connection = None, None
        if config.server_command is None:
            self._connection = connect(config, None, reference)
        else:  # started with the first request: a resumed run may load other weights before
            self._managed = ManagedServer(config.server_command, save, config.key())

    @property
    def description(self) -> str:
        # What is not sent it takes from the model's files, or has defaults of its own.
        own = "" if self._config.server_extras else ", which may use top_k, min_p and a repetition penalty of its own"
        if self._managed is not None:
            return f"servers that the run starts for its weights{own}"
        return f"a server at {self._config.base_url}{own}"

    def plan(self, prompts: Sequence[Prompt], n: int) -> list[list[int]]:
        lengths = [len(self.reference.renderer.prompt_ids(prompt)) for prompt in prompts]
        return batches_by_length(lengths, max(1, RESPONSES_PER_BATCH // n))

    def generate(self, request: GenerateRequest) -> list[Response]:
        return next(self.generate_batches([request]))

    def generate_batches(self, requests: Sequence[GenerateRequest]) -> Generator[list[Response], None, None]:
        connection = self._connected()
        waiting, sent = deque(requests), deque[Future[list[Completion]]]()
        in_flight = 0
        try:
            for request in requests:
                while waiting and (not sent or in_flight < AHEAD * self._config.max_concurrency):
                    bodies = connection.bodies(waiting.popleft())
                    sent.append(connection.client.complete(bodies, connection.read))
                    in_flight += len(bodies)
                replies = sent[0].result()
                sent.popleft()
                in_flight -= len(replies)
                yield self._responses(request, replies)
        finally:
            for future in sent:
                future.cancel()

    def _responses(self, request: GenerateRequest, replies: Sequence[Completion]) -> list[Response]:
        renderer = self.reference.renderer
        numbered = list(zip(request.numbered(), replies, strict=True))
        unscored = [(prompt, reply.token_ids) for (prompt, _), reply in numbered if reply.logprob is None]
        missing = [row_of(renderer, prompt, ids) for prompt, ids in unscored]
        scores = iter(
            sequence_logprobs(self.reference.model, missing, renderer.pad_id, self.reference.max_tokens_per_batch)
        )
        return [
            Response(
                prompt=prompt,
                prompt_text=renderer.text(prompt),
                sample_index=index,
                text=reply.text,
                token_ids=reply.token_ids,
                logprob=next(scores) if reply.logprob is None else reply.logprob,
                finish_reason=reply.finish_reason,
                model=self.name,
                weights_version=request.weights_version,
            )
            for (prompt, index), reply in numbered
        ]

    def update_weights(self, save: SaveWeights) -> None:
        if self._managed is None:
            raise RunError(
                f"the server at {self._config.base_url} cannot be given other weights",
                "it would go on generating with those it was started with",
                "use server_command, so that the run starts a server for each set of weights",
            )
        self._disconnect()
        self._managed.update_weights(save)

    def sleep(self) -> None:
        """A server that the run started ends, and frees its memory; another is left alone."""
        if self._managed is not None:
            self._disconnect()
            self._managed.stop()

    def close(self) -> None:
        self._disconnect()
        if self._managed is not None:
            self._managed.close()

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = connect(self._config, self._managed, self.reference)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.client.close()
        self._connection = None
