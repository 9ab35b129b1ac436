from __future__ import annotations

import numpy as np

from selftrain.engines.rng import stream_start, uniforms


def test_a_stream_is_a_function_of_key_problem_and_index_alone() -> None:
    alone = uniforms([stream_start("1/round 1", "p7", 3)], 50)[0]
    starts = [stream_start("1/round 1", f"p{i}", j) for i in range(20) for j in range(5)]
    in_company = uniforms(starts, 80)[7 * 5 + 3]
    assert np.array_equal(alone, in_company[:50])


def test_streams_differ_by_every_part_of_their_name() -> None:
    names = [
        ("k", "p", 0),
        ("k", "p", 1),
        ("k", "p1", 0),
        ("k2", "p", 0),
        ("k/p", "", 0),
        ("k", "/p", 0),
        ("k/", "p", 0),
    ]
    assert len({stream_start(*name) for name in names}) == len(names)


def test_numbers_are_uniform_and_uncorrelated() -> None:
    numbers = uniforms([stream_start("k", f"p{i}", j) for i in range(500) for j in range(4)], 100)
    assert numbers.min() >= 0 and numbers.max() < 1
    # 200,000 draws: the standard error of the mean is 0.00065, of a correlation 0.0022.
    assert abs(numbers.mean() - 0.5) < 0.003
    assert abs(np.histogram(numbers, bins=20, range=(0, 1))[0] / numbers.size - 0.05).max() < 0.003
    assert abs(np.corrcoef(numbers[:, :-1].ravel(), numbers[:, 1:].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(numbers[:-1].ravel(), numbers[1:].ravel())[0, 1]) < 0.01
