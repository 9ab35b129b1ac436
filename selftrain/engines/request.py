"""What an engine is asked for: one batch of prompts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from selftrain.engines.rng import stream_start
from selftrain.storage.rows import responses_of
from selftrain.types import Prompt, Response, SamplingParams

#: Problem ids that an error message lists.
_SHOWN = 5


@dataclass(frozen=True)
class GenerateRequest:
    """`n` responses to each prompt of a batch.

    GenerateRequest(prompts=(Prompt("gsm8k/train/17", "Tom has ..."),), n=8, params=SamplingParams(0.7, 40),
                    key="42/round 1/llama", weights_version=0)
    """

    prompts: Sequence[Prompt]
    n: int
    params: SamplingParams
    #: Names the random streams: a response depends on (key, problem id, sample index) and the weights alone.
    key: str
    #: Recorded with each response: 0 is the base model, r the weights that round r trained.
    weights_version: int = 0
    #: Sample index of the first response to each prompt.
    first_index: int = 0

    @property
    def num_responses(self) -> int:
        return len(self.prompts) * self.n

    def numbered(self) -> list[tuple[Prompt, int]]:
        """Prompt and sample index of each response, in the order in which engines return them."""
        indices = range(self.first_index, self.first_index + self.n)
        return [(prompt, index) for prompt in self.prompts for index in indices]

    def stream_starts(self) -> list[int]:
        """`[num_responses]`: see `rng.stream_start`."""
        return [stream_start(self.key, prompt.problem_id, index) for prompt, index in self.numbered()]

    def halves(self) -> tuple[Self, Self]:
        """The same responses as two requests: of half the prompts each, or of half the samples of a single prompt."""
        if len(self.prompts) > 1:
            half = len(self.prompts) // 2
            return replace(self, prompts=self.prompts[:half]), replace(self, prompts=self.prompts[half:])
        half = self.n // 2
        return replace(self, n=half), replace(self, n=self.n - half, first_index=self.first_index + half)

    def describe(self) -> str:
        """Names the batch in an error message."""
        ids = ", ".join(repr(prompt.problem_id) for prompt in self.prompts[:_SHOWN])
        more = len(self.prompts) - _SHOWN
        return f"responses to {ids}" + (f" and {more} more" if more > 0 else "")

    def responses(
        self, rows: Sequence[Mapping[str, Any]], prompt_text: Callable[[Prompt], str], model: str
    ) -> list[Response]:
        """From the rows (`storage.rows.response_row`) that a log or another process holds of the responses."""
        return responses_of(rows, self.prompts, self.n, text=prompt_text, model=model)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        prompts = tuple(
            Prompt(**{**p, "few_shot": tuple(map(tuple, p["few_shot"])), "peer_answers": tuple(p["peer_answers"])})
            for p in data["prompts"]
        )
        return cls(**{**data, "prompts": prompts, "params": SamplingParams(**data["params"])})
