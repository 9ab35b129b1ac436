"""Samplers that generate nothing and count what they are asked for.

A letter is a token here. The method's and the evaluation's own code runs on them, so what is counted cannot differ from
what a run does.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from selftrain.types import Prompt, Response, SamplingParams, Score

#: The first letter in use: some of those below are white space.
_FIRST_LETTER = 0x10000


@dataclass(frozen=True)
class SampleCall:
    """Calls of `sample` that are alike: `n` responses to each of some prompts."""

    prompts: float
    n: int
    #: Mean over the prompts.
    prompt_tokens: float
    #: How many such calls are made, one after another.
    times: float = 1

    @property
    def responses(self) -> float:
        return self.prompts * self.n * self.times


@dataclass
class Counts:
    """What all samplers together were asked for."""

    calls: list[SampleCall] = field(default_factory=list)
    graded: int = 0
    #: Texts whose log-probability was asked for, and their tokens, prompts included.
    scored: int = 0
    scored_tokens: int = 0


class CountingSampler:
    """
    Args:
        length: tokens of every response.
        share_right: share of right responses; it varies between problems, distributed as Beta(s, 1 - s).
    """

    def __init__(self, name: str, *, length: int, share_right: float, counts: Counts) -> None:
        self.name, self._length, self._share, self._counts = name, length, share_right, counts
        self._chances: dict[str, float] = {}
        self._generated, self._rng, self._token_ids = 0, random.Random(name), (0,) * length

    def sample(
        self, prompts: Sequence[Prompt], n: int, params: SamplingParams, key: str, *, first_index: int = 0
    ) -> list[Response]:
        if prompts and n:
            mean = sum(map(num_tokens, prompts)) / len(prompts)
            self._counts.calls.append(SampleCall(len(prompts), n, mean))
        return [self._response(prompt, first_index + index) for prompt in prompts for index in range(n)]

    def _response(self, prompt: Prompt, index: int) -> Response:
        self._generated += 1
        is_wrong = self._rng.random() >= self._chance_of(prompt.problem_id)
        # No two responses are equal, up to half a million; an even letter is a right response.
        letter = chr(_FIRST_LETTER + 2 * (self._generated % 500_000) + is_wrong)
        return Response(
            prompt=prompt,
            prompt_text="",
            sample_index=index,
            text=letter * self._length,
            token_ids=self._token_ids,
            logprob=-1.0 * self._length,
            finish_reason="stop",
            model=self.name,
            weights_version=0,
        )

    def _chance_of(self, problem_id: str) -> float:
        """The same for all samplers: a problem that is hard for one is hard for all."""
        if problem_id not in self._chances:
            rng = random.Random(problem_id)
            self._chances[problem_id] = rng.betavariate(self._share, 1 - self._share)
        return self._chances[problem_id]

    def logprob(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        self._counts.scored += len(prompts)
        self._counts.scored_tokens += sum(map(num_tokens, prompts)) + sum(self.num_tokens(completions))
        return [-1.0] * len(prompts)

    def num_tokens(self, completions: Sequence[str]) -> list[int]:
        return [len(text) for text in completions]

    def grade(self, responses: Sequence[Response]) -> list[Score]:
        """Grades the responses of any counting sampler."""
        self._counts.graded += len(responses)
        return [_score(response.text[0]) for response in responses]


def _score(letter: str) -> Score:
    is_right = ord(letter) % 2 == 0
    # Beyond any threshold: that of weighted rewards may be above 1.
    return Score(1e6 if is_right else -1e6, "right" if is_right else letter)


def num_tokens(prompt: Prompt) -> int:
    few_shot = sum(len(question) + len(solution) for question, solution in prompt.few_shot)
    return len(prompt.question) + few_shot + sum(map(len, prompt.peer_answers))
