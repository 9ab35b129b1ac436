"""Models that answer nothing and count what they are asked.

One letter is one token, here. So the method's and the evaluation's own code tells what a run asks: what is counted
cannot differ from what is done.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from selftrain.types import Prompt, Response, SamplingParams, Score

#: No letter below it is used: some of them are white space.
_FIRST_LETTER = 0x10000


@dataclass(frozen=True)
class Asked:
    """One call of `sample`: answers to each of some prompts, of so many tokens on average."""

    prompts: float
    n: int
    prompt_tokens: float
    #: How many such calls there are, one after another.
    times: float = 1

    @property
    def answers(self) -> float:
        return self.prompts * self.n * self.times


@dataclass
class RequestCounts:
    """What was asked of all ghosts together."""

    asked: list[Asked] = field(default_factory=list)
    graded: int = 0
    #: Texts whose log-probability was asked for, and tokens, those of their prompts among them.
    scored: int = 0
    scored_tokens: int = 0


class Ghost:
    """
    Args:
        length: tokens of every answer.
        share_right: of its answers; it differs from problem to problem, as Beta(s, 1 - s).
    """

    def __init__(self, name: str, length: int, share_right: float, counts: RequestCounts) -> None:
        self.name, self._length, self._share, self._counts = name, length, share_right, counts
        self._chances: dict[str, float] = {}
        self._said, self._luck = 0, random.Random(name)

    def sample(
        self, prompts: Sequence[Prompt], n: int, params: SamplingParams, key: str, *, first_index: int = 0
    ) -> list[Response]:
        if prompts and n:
            mean = sum(map(tokens_of, prompts)) / len(prompts)
            self._counts.asked.append(Asked(len(prompts), n, mean))
        return [self._answer(prompt, first_index + index) for prompt in prompts for index in range(n)]

    def _answer(self, prompt: Prompt, index: int) -> Response:
        self._said += 1
        is_wrong = self._luck.random() >= self._chance_of(prompt.problem_id)
        # No two answers are the same; an even letter is a right answer. Letters come round after half a million.
        letter = chr(_FIRST_LETTER + 2 * (self._said % 500_000) + is_wrong)
        return Response(
            prompt, "", index, letter * self._length, (0,) * self._length, -1.0 * self._length, "stop", self.name, 0
        )

    def _chance_of(self, problem_id: str) -> float:
        """The same for all ghosts: a problem that is hard for one is hard for all."""
        if problem_id not in self._chances:
            rng = random.Random(problem_id)
            self._chances[problem_id] = rng.betavariate(self._share, 1 - self._share)
        return self._chances[problem_id]

    def logprob(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        self._counts.scored += len(prompts)
        self._counts.scored_tokens += sum(map(tokens_of, prompts)) + sum(self.num_tokens(completions))
        return [-1.0] * len(prompts)

    def num_tokens(self, completions: Sequence[str]) -> list[int]:
        return [len(text) for text in completions]

    def grade(self, responses: Sequence[Response]) -> list[Score]:
        """Judges what any ghost answered."""
        self._counts.graded += len(responses)
        return [Score(float(ord(r.text[0]) % 2 == 0), "right" if ord(r.text[0]) % 2 == 0 else r.text[0])
                for r in responses]  # fmt: skip


def tokens_of(prompt: Prompt) -> int:
    few_shot = sum(len(question) + len(solution) for question, solution in prompt.few_shot)
    return len(prompt.question) + few_shot + sum(map(len, prompt.peer_answers))
