"""One loss for all methods: the weighted negative log-likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from selftrain.models.rendering import Row

Normalization = Literal["token", "example"]


def normalizer(rows: Sequence[Row], normalization: Normalization) -> float:
    """What the sum over a whole optimiser step is divided by: its tokens, or its examples.

    Weights do not enter: dividing by their sum would undo their scale.
    """
    return float(sum(row.completion_length for row in rows) if normalization == "token" else len(rows))


def weighted_nll(logprobs: Tensor, mask: Tensor, weights: Tensor, normalization: Normalization) -> Tensor:
    """Sum over rows of weight times negative log-likelihood; still to be divided by the step's `normalizer`.

    Args:
        logprobs: `[rows, columns]`, nats, 0 outside the mask.
        mask: `[rows, columns]`, true at completion tokens, the end token among them.
        weights: `[rows]`.
        normalization: with "example" each row counts by its mean over tokens.
    """
    nll = -logprobs.sum(dim=-1)
    if normalization == "example":
        nll = nll / mask.sum(dim=-1)
    return (weights * nll).sum()
