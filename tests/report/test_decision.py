"""What a page says first: which round to use, or that the base model is to be kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from selftrain.report.decision import decide
from selftrain.report.round_record import RoundRecord

from .runs import BARE, GAIN, SEVERAL, blind, comparison, history, real, record, swept


def decision(records: Sequence[RoundRecord]) -> str:
    return str(decide(history(records)))


def of(greedy: tuple[float, float], sampled: tuple[float, float]) -> str:
    """Of differences and their p, in greedy and in pass@1."""
    compared = {
        metric: comparison(0.4, 0.4 + gain, p) for metric, (gain, p) in {"greedy": greedy, "pass@1": sampled}.items()
    }
    return decision([record(0), record(1, against_base=compared)])


@pytest.mark.parametrize(
    ("greedy", "sampled", "says"),
    [
        ((0.1, 1e-4), (0.1, 1e-4), "Use round 1: +10.0 points"),
        ((0.1, 1e-4), (-0.1, 1e-4), "Use round 1 for greedy answers: +10.0 points, but -10.0 points in pass@1"),
        ((-0.1, 1e-4), (0.0, 0.9), "Keep the base model: round 1 shows -10.0 points"),
        ((-0.1, 1e-4), (0.1, 1e-4), "Keep the base model: round 1 shows -10.0 points, though +10.0 points in pass@1"),
        ((0.0, 0.9), (-0.1, 1e-4), "Keep the base model: round 1 shows -10.0 points in pass@1"),
        (
            (0.0, 0.9), (0.1, 1e-4),
            "Use round 1 where you sample: +10.0 points in pass@1, no gain shown in greedy",
        ),
        ((0.02, 0.2), (0.01, 0.5), "No gain shown: keep the base model"),
    ],
)  # fmt: skip
def test_one_model(greedy: tuple[float, float], sampled: tuple[float, float], says: str) -> None:
    assert of(greedy, sampled) == says


def test_a_gain_that_does_not_survive_the_correction_is_none() -> None:
    assert decision([record(0), *(record(n, 0.03, 0.03) for n in (1, 2, 3))]) == "No gain shown: keep the base model"
    assert decision(GAIN) == "Use round 2: +11.2 points"


def test_what_validation_kept_is_kept() -> None:
    rounds = [record(0, validation_score=0.7), record(1, 0.05, 0.001, validation_score=0.6)]
    assert decision(rounds) == "Keep the base model: validation chose it, though round 1 shows +5.0 points here"


def test_a_gain_that_a_lower_temperature_brings_needs_no_training() -> None:
    assert decision(real("sept")).startswith("Use round 10 where you sample: +2.9 points in pass@1")
    assert decision(swept(real("sept"))) == ("Keep the base model: a lower temperature gains as much without training")


def test_several_models() -> None:
    assert decision(SEVERAL) == "Use round 2: all 2 models gained"
    idle = [record(number, 0.01 * number, 0.5, "gemma") for number in range(3)]
    assert decision([*SEVERAL, *idle]) == "Use round 2 of llama, qwen: no gain shown in the others"
    assert decision([*idle, *(replace(one, model="qwen") for one in idle)]) == "No gain shown: keep the base models"


def test_nothing_was_measured() -> None:
    assert decision(blind(real("sept"))) == "Accuracy was not measured: no evaluation problem has an answer"
    assert decision(BARE).startswith("Nothing to compare yet")
