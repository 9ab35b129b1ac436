"""Several models answer one after the other, each shown what those before it said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from selftrain.errors import RunError
from selftrain.types import Prompt, Response, Sampler, SamplingParams


def take_turns(
    samplers: Sequence[Sampler],
    prompts: Sequence[Prompt],
    orders: Sequence[Sequence[int]],
    sampling: SamplingParams,
    key: str,
) -> list[list[Response]]:
    """One pass of a conversation on every prompt.

    Whoever speaks is asked the prompt with the texts of those before as its `peer_answers`, behind what the prompt
    already had there. At most n turns x n models calls of `sample`, each under the key "<key>/turn <k>". A prompt that
    stands here twice is asked with the same luck twice: give each rollout of a problem a key of its own.

    Args:
        orders: one permutation of the n answerers' places for each prompt: who speaks first, second, ...

    Returns:
        `[prompts][n]` responses, in order of speaking; the last one has seen all others.

    Raises:
        RunError: an order is missing, or is no permutation.
    """
    places = list(range(len(samplers)))
    if len(orders) != len(prompts) or any(sorted(order) != places for order in orders):
        raise RunError(
            f"{len(orders)} orders of speaking for {len(prompts)} prompts and {len(samplers)} models",
            "every prompt needs one order, in which every model speaks once",
            "give one permutation of the models' places for each prompt",
        )
    said: list[list[Response]] = [[] for _ in prompts]
    for turn in places:
        for place, sampler in enumerate(samplers):
            asked = [i for i, order in enumerate(orders) if order[turn] == place]
            heard = [
                replace(prompts[i], peer_answers=(*prompts[i].peer_answers, *(response.text for response in said[i])))
                for i in asked
            ]  # fmt: skip
            if heard:
                responses = sampler.sample(heard, 1, sampling, f"{key}/turn {turn}")
                for i, response in zip(asked, responses, strict=True):
                    said[i].append(response)
    return said


def rotations(prompts: int, samplers: int) -> list[list[int]]:
    """`[prompts][samplers]`: for prompt i the order that starts at i mod n, so that all are last equally often."""
    return [[(i + turn) % samplers for turn in range(samplers)] for i in range(prompts)]
