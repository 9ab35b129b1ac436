"""Generating in parts that fit into memory."""

from __future__ import annotations

from collections.abc import Callable

from selftrain.engines.request import GenerateRequest
from selftrain.errors import ModelError
from selftrain.models.out_of_memory import is_out_of_memory
from selftrain.types import Prompt, Response


class OomSplitter:
    """Halves a request that runs out of memory, and remembers the size that fits. The responses are the same."""

    def __init__(self) -> None:
        #: Responses tried at once; None until a request runs out of memory.
        self.limit: int | None = None

    @property
    def note(self) -> str:
        """To append to an engine's description; empty until a request runs out of memory."""
        return "" if self.limit is None else f", at most {self.limit:,} responses at once (more ran out of memory)"

    def generate(
        self, generate: Callable[[GenerateRequest], list[Response]], request: GenerateRequest
    ) -> list[Response]:
        """
        Raises:
            ModelError: a single response does not fit.
        """
        count = request.num_responses
        if self.limit is None or count <= self.limit:
            try:
                return generate(request)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if count == 1:
                    raise _no_room(request.prompts[0]) from error
            # Retried out here: within the handler the error would keep the memory of the failed pass alive.
            self.limit = max(1, count // 2)
        first, second = request.halves()
        return self.generate(generate, first) + self.generate(generate, second)


def _no_room(prompt: Prompt) -> ModelError:
    return ModelError(
        f"out of memory while generating one response to problem {prompt.problem_id!r}",
        "it was alone in its batch, which cannot be split further",
        "lower --max_completion_length, show fewer worked examples, or use a device with more memory",
    )
