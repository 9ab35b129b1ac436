"""The toy model as an engine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

from selftrain.engines.base import InTurn, Live, units_by_length
from selftrain.engines.rng import stream_start, uniforms
from selftrain.models.toy import ToyModel
from selftrain.types import Prompt, Response, SamplingParams

PROMPTS_PER_UNIT = 16


class ToyEngine(Live, InTurn):
    """Obeys the same laws as every engine. Its token ids are the numbers of its habits."""

    def __init__(self, model: ToyModel, name: str = "toy") -> None:
        self.model, self._name, self.how = model, name, "a table"

    @property
    def name(self) -> str:
        return self._name

    def prompt_text(self, prompt: Prompt) -> str:
        return "\n".join((prompt.question, *prompt.peer_answers))

    def too_long(self, prompts: Sequence[Prompt], max_completion_length: int) -> list[tuple[str, int]]:
        return []

    def plan(self, prompts: Sequence[Prompt], n: int) -> list[list[int]]:
        return units_by_length([len(self.prompt_text(prompt)) for prompt in prompts], PROMPTS_PER_UNIT)

    def generate(
        self,
        prompts: Sequence[Prompt],
        n: int,
        sampling: SamplingParams,
        key: str,
        weights_version: int,
        first: int = 0,
    ) -> list[Response]:
        indices = range(first, first + n)
        return [self._answer(prompt, index, sampling, key, weights_version) for prompt in prompts for index in indices]

    def _answer(self, prompt: Prompt, index: int, sampling: SamplingParams, key: str, weights_version: int) -> Response:
        shares = self.model.probabilities(sampling.temperature or 1.0)
        if sampling.temperature == 0:
            habit = shares.index(max(shares))
        else:
            chance = float(uniforms([stream_start(key, prompt.problem_id, index)], 1)[0, 0])
            habit = next((h for h, below in enumerate(accumulate(shares)) if chance < below), len(shares) - 1)
        return Response(
            prompt=prompt,
            prompt_text=self.prompt_text(prompt),
            sample_index=index,
            text=self.model.say(habit, prompt.question),
            token_ids=(habit,),
            logprob=math.log(self.model.probabilities()[habit]),
            finish_reason="stop",
            model=self.name,
            weights_version=weights_version,
        )

    def logprob(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        shares = self.model.probabilities()
        habits = [self.model.habit_of(p.question, text) for p, text in zip(prompts, completions, strict=True)]
        return [-math.inf if habit is None else math.log(shares[habit]) for habit in habits]

    def num_tokens(self, completions: Sequence[str]) -> list[int]:
        return [1] * len(completions)
