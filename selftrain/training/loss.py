"""One loss for all methods: the weighted negative log-likelihood (NLL)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from selftrain.models.rendering import TokenizedExample

Normalization = Literal["token", "example"]


def normalizer(examples: Sequence[TokenizedExample], normalization: Normalization) -> float:
    """What the sum over a whole optimizer step is divided by: its number of completion tokens, or of examples.

    Weights do not enter: dividing by their sum would undo their scale.
    """
    if normalization == "token":
        return float(sum(example.completion_length for example in examples))
    return float(len(examples))


def weighted_nll(logprobs: Tensor, mask: Tensor, weights: Tensor, normalization: Normalization) -> Tensor:
    """sum_i w_i * NLL_i, still to be divided by the step's `normalizer`.

    Args:
        logprobs: `[batch, length]`, nats, 0 outside the mask.
        mask: `[batch, length]` bool, true at completion tokens, the end token included.
        weights: `[batch]`.
        normalization: with "example" NLL_i is the mean over the example's tokens, else their sum.
    """
    nll = -logprobs.sum(dim=-1)
    if normalization == "example":
        nll = nll / mask.sum(dim=-1)
    return (weights * nll).sum()
