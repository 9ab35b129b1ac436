"""From logits to the next token."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from selftrain.types import SamplingParams

#: Tokens among which the nucleus of top-p is searched first: sorting a whole vocabulary takes many times as long.
LIKELY = 64


def sample_tokens(logits: Tensor, uniform: Tensor, params: SamplingParams) -> Tensor:
    """The next token of each row.

    Args:
        logits: `[rows, vocabulary]`, float32.
        uniform: `[rows]`, float64 in [0, 1): each row's random number.
        params: temperature 0 is greedy. Filters apply as in transformers: temperature, then top-k, then top-p.

    Returns:
        `[rows]` token ids.
    """
    if params.temperature == 0:
        return logits.argmax(dim=-1)
    scaled = logits / params.temperature
    candidates = None
    if 0 < params.top_k < scaled.shape[-1]:
        # In the order of their ids: sorted by probability, two near-equal neighbours could swap by rounding and change
        # what is sampled.
        candidates = _largest(scaled, params.top_k)
        if candidates is None:
            candidates = scaled.topk(params.top_k, dim=-1).indices.sort(dim=-1).values
        scaled = scaled.gather(-1, candidates)
    probabilities = scaled.softmax(dim=-1, dtype=torch.float64)
    if params.top_p < 1.0:
        if candidates is None and (likely := _largest(scaled, LIKELY)) is not None:
            of_likely = probabilities.gather(-1, likely)
            # With a margin for the rounding of sums.
            if bool((of_likely.sum(dim=-1) > params.top_p + 1e-9).all()):
                candidates, probabilities = likely, of_likely
        probabilities = probabilities * _nucleus(probabilities, params.top_p)
    # Inverse of the cumulative distribution: depends on one number and on nothing else in the batch.
    cumulative = probabilities.cumsum(dim=-1)
    target = uniform.unsqueeze(-1) * cumulative[:, -1:]
    picked = torch.searchsorted(cumulative, target, right=True).clamp_(max=cumulative.shape[-1] - 1)
    return (picked if candidates is None else candidates.gather(-1, picked)).squeeze(-1)


def _largest(values: Tensor, count: int) -> Tensor | None:
    """Ids of each row's largest values, in rising order: numpy finds them several times as fast as `topk`.

    None where a row has no more values than that, on a GPU, and where values tie for the last place.
    """
    if values.shape[-1] <= count or values.device.type != "cpu":
        return None
    rows = values.numpy()
    least = np.partition(rows, -count, axis=-1)[:, -count, None]
    found = np.flatnonzero(rows >= least)
    if len(found) != count * len(rows):
        return None
    return torch.from_numpy(found % rows.shape[-1]).view(len(rows), count)


def _nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """Mask of the smallest set of tokens whose probability reaches `top_p`; `[rows, tokens]`, bool."""
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(dim=-1) - ordered
    return torch.zeros_like(probabilities, dtype=torch.bool).scatter_(-1, order, before < top_p)
