"""The toy model as an engine: real enough to obey the laws of every engine, and free of tensors."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from itertools import accumulate

from selftrain.engines.base import SaveWeights, batches_by_length, one_by_one
from selftrain.engines.request import GenerateRequest
from selftrain.engines.rng import uniforms
from selftrain.types import Prompt, Response
from tests.toys.model import ToyModel

PROMPTS_PER_BATCH = 16


class ToyEngine:
    """The token ids of a response are one number: the habit that wrote it."""

    description = "a table"

    def __init__(self, model: ToyModel, name: str = "toy") -> None:
        self.model, self.name = model, name

    def prompt_text(self, prompt: Prompt) -> str:
        return "\n".join((prompt.question, *prompt.peer_answers))

    def too_long(self, prompts: Sequence[Prompt], max_completion_length: int) -> list[tuple[str, int]]:
        return []

    def plan(self, prompts: Sequence[Prompt], n: int) -> list[list[int]]:
        return batches_by_length([len(self.prompt_text(prompt)) for prompt in prompts], PROMPTS_PER_BATCH)

    def generate(self, request: GenerateRequest) -> list[Response]:
        shares = self.model.probabilities(request.params.temperature or 1.0)
        if request.params.temperature == 0:
            habits = [shares.index(max(shares))] * request.num_responses
        else:
            draws = uniforms(request.stream_starts(), 1)[:, 0].tolist()
            upper = list(accumulate(shares))[:-1]
            habits = [sum(draw >= bound for bound in upper) for draw in draws]
        logprobs = [math.log(share) for share in self.model.probabilities()]
        return [
            Response(
                prompt=prompt,
                prompt_text=self.prompt_text(prompt),
                sample_index=index,
                text=self.model.say(habit, prompt.question),
                token_ids=(habit,),
                logprob=logprobs[habit],
                finish_reason="stop",
                model=self.name,
                weights_version=request.weights_version,
            )
            for (prompt, index), habit in zip(request.numbered(), habits, strict=True)
        ]

    def generate_batches(self, requests: Sequence[GenerateRequest]) -> Generator[list[Response], None, None]:
        return one_by_one(self, requests)

    def logprob(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        shares = self.model.probabilities()
        habits = [self.model.habit_of(p.question, text) for p, text in zip(prompts, completions, strict=True)]
        return [-math.inf if habit is None else math.log(shares[habit]) for habit in habits]

    def num_tokens(self, completions: Sequence[str]) -> list[int]:
        return [1] * len(completions)

    def update_weights(self, save: SaveWeights) -> None:
        """It generates from the live weights."""

    def sleep(self) -> None:
        """It holds no memory worth freeing."""

    def close(self) -> None:
        """It holds nothing."""
