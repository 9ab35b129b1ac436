from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from selftrain.engines.sampler import sample_tokens
from selftrain.types import SamplingParams

SETTINGS = [
    SamplingParams(0.7, 40),
    SamplingParams(1.0, 0, 0.95),
    SamplingParams(0.6, 20, 0.9),
    SamplingParams(1.3),
    SamplingParams(1.0, 5),
]


@pytest.mark.parametrize("sampling", SETTINGS)
def test_samples_have_the_distribution_of_transformers_own_filters(sampling: SamplingParams) -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 60) * 2
    expected = TemperatureLogitsWarper(sampling.temperature)(None, logits)
    if sampling.top_k:
        expected = TopKLogitsWarper(sampling.top_k)(None, expected)
    if sampling.top_p < 1:
        expected = TopPLogitsWarper(sampling.top_p)(None, expected)
    # Every number in [0, 1) draws a token, and the share of numbers that draw it is its probability.
    grid = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    drawn = sample_tokens(logits.expand(len(grid), -1), grid, sampling)
    shares = np.bincount(drawn.numpy(), minlength=60) / len(grid)
    assert np.abs(shares - expected.softmax(-1)[0].numpy()).max() < 2e-5


def test_temperature_zero_is_greedy() -> None:
    logits = torch.tensor([[0.0, 3.0, 1.0], [5.0, 3.0, 1.0]])
    assert sample_tokens(logits, torch.tensor([0.99, 0.99]), SamplingParams(0.0)).tolist() == [1, 0]


@pytest.mark.parametrize("sampling", SETTINGS)
def test_the_ends_of_the_interval_give_possible_tokens(sampling: SamplingParams) -> None:
    logits = torch.tensor([[-1e9, 2.0, 1.0, -1e9]]).expand(2, -1)
    drawn = sample_tokens(logits, torch.tensor([0.0, 1.0 - 2**-53], dtype=torch.float64), sampling)
    assert set(drawn.tolist()) <= {1, 2}


def test_rounding_between_near_equal_logits_changes_no_sample() -> None:
    """Sorted by probability, tokens that swap by rounding would change it; in the order of their ids they do not."""
    logits = torch.tensor([[1.0, 1.0, 1.0, 1.0]])
    nudged = torch.tensor([[1.0, 1.0 + 1e-7, 1.0, 1.0 - 1e-7]])
    for sampling in (SamplingParams(1.0), SamplingParams(1.0, 3, 1.0)):
        numbers = torch.linspace(0.05, 0.2, 4, dtype=torch.float64)
        assert torch.equal(
            sample_tokens(logits.expand(4, -1), numbers, sampling),
            sample_tokens(nudged.expand(4, -1), numbers, sampling),
        )
