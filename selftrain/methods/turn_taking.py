"""Several models answer one after the other, each shown the answers before its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from selftrain.errors import RunError
from selftrain.types import Prompt, Response, Sampler, SamplingParams


def take_turns(
    samplers: Sequence[Sampler],
    prompts: Sequence[Prompt],
    orders: Sequence[Sequence[int]],
    *,
    sampling: SamplingParams,
    key: str,
) -> list[list[Response]]:
    """One conversation of n models about every prompt.

    In each turn a model is given the prompt with the texts of the turns before appended to its `peer_answers`. At most
    n x n calls of `sample`, each under the key "<key>/turn <k>". Equal prompts draw equal random numbers, so further
    conversations about the same problems need keys of their own.

    Args:
        orders: `[prompts][n]`, for each prompt a permutation of the samplers' indices: who answers first, second, ...

    Returns:
        `[prompts][n]` responses in the order of the turns; the last one has seen all others.

    Raises:
        RunError: an order is missing or not a permutation.
    """
    indices = list(range(len(samplers)))
    if len(orders) != len(prompts) or any(sorted(order) != indices for order in orders):
        raise RunError(
            f"{len(orders)} orders of turns for {len(prompts)} prompts and {len(samplers)} models",
            "every prompt needs one order, in which every model occurs once",
            "give one permutation of the models' indices for each prompt",
        )
    talks: list[list[Response]] = [[] for _ in prompts]
    for turn in indices:
        for index, sampler in enumerate(samplers):
            own = [i for i, order in enumerate(orders) if order[turn] == index]
            if own:
                shown = [_with_answers(prompts[i], talks[i]) for i in own]
                responses = sampler.sample(shown, 1, sampling, f"{key}/turn {turn}")
                for i, response in zip(own, responses, strict=True):
                    talks[i].append(response)
    return talks


def _with_answers(prompt: Prompt, responses: Sequence[Response]) -> Prompt:
    return replace(prompt, peer_answers=(*prompt.peer_answers, *(response.text for response in responses)))


def rotations(prompts: int, samplers: int) -> list[list[int]]:
    """`[prompts][samplers]`: prompt i starts with model i mod n, so that all models are last equally often."""
    return [[(i + turn) % samplers for turn in range(samplers)] for i in range(prompts)]
