"""Answering in parts that fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from selftrain.errors import ModelError
from selftrain.models.out_of_memory import is_out_of_memory
from selftrain.types import Prompt, Response

#: From prompts, a number of answers to each, and the first sample index.
Draw = Callable[[Sequence[Prompt], int, int], list[Response]]


class OomSplitter:
    """Cuts a unit up where memory does not suffice for it, and remembers what did not fit. The answers are the same."""

    def __init__(self) -> None:
        #: Answers that are tried at once; None as long as everything fitted.
        self.rows: int | None = None

    @property
    def note(self) -> str:
        """For whoever reads how an engine answers; empty as long as everything fitted."""
        return "" if self.rows is None else f", {self.rows:,} answers at a time, since memory does not suffice for more"

    def sample_tokens(self, sample_tokens: Draw, prompts: Sequence[Prompt], n: int, first: int) -> list[Response]:
        """
        Raises:
            ModelError: there is no room for one answer.
        """
        rows = len(prompts) * n
        if self.rows is None or rows <= self.rows:
            try:
                return sample_tokens(prompts, n, first)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if rows == 1:
                    raise _no_room(prompts[0]) from error
            # Nothing is tried again in there: the error still holds on to the memory of the failed pass.
            self.rows = max(1, rows // 2)
        if len(prompts) > 1:
            half = len(prompts) // 2
            return self.sample_tokens(sample_tokens, prompts[:half], n, first) + self.sample_tokens(
                sample_tokens, prompts[half:], n, first
            )
        return self.sample_tokens(sample_tokens, prompts, n // 2, first) + self.sample_tokens(
            sample_tokens, prompts, n - n // 2, first + n // 2
        )


def _no_room(prompt: Prompt) -> ModelError:
    return ModelError(
        f"memory does not suffice for one answer to problem {prompt.problem_id!r}",
        "it was alone in its batch, which can be cut no further",
        "lower --max_completion_length, show fewer worked examples, or use a device with more memory",
    )
