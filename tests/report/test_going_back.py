"""What was given up on the word of a few validation problems is said, with what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from selftrain.loop.messages import early_stopping_lines
from selftrain.report.history import RunHistory
from selftrain.report.round_record import RoundRecord
from selftrain.report.verdict import caveats

from .runs import TRAINING, history, record


def trained(number: int, *validation: float, score: float | None = None, model: str = "llama") -> RoundRecord:
    """A round whose epochs had these validation rewards; of equals the later is the best."""
    best = max(range(len(validation)), key=lambda epoch: (validation[epoch], epoch), default=0)
    training = replace(TRAINING, epochs=max(0, len(validation) - 1), best_epoch=best, validation_metric=validation)
    more = {} if score is None else {"validation_score": score}
    return record(number, 0.05, 0.01, model, training=training, **more)


def held_out(records: Sequence[RoundRecord], problems: int | None) -> RunHistory:
    made = history(records)
    assert made.best is not None
    return replace(made, best=replace(made.best, validation_problems=problems))


def told(records: Sequence[RoundRecord], problems: int | None) -> list[str]:
    return [one for one in caveats(held_out(records, problems)) if "--validation_size" in one]


UNDONE = trained(1, 0.5, 0.42, 0.33, 0.42)


def test_a_training_that_a_dozen_problems_undid_is_a_caveat() -> None:
    (caveat,) = told([record(0), UNDONE], 12)
    assert caveat == (
        "Early stopping went back to epoch 0 of 3 in round 1, the weights that it started from, by the answers to 12 "
        "validation problems: too few to tell such a difference from chance. Hold out more with --validation_size, or "
        "keep the last epoch with --early_stopping off."
    )


@pytest.mark.parametrize(
    ("rounds", "problems"),
    [
        ([UNDONE], 300),  # enough
        ([UNDONE], None),  # of a run of another version nobody knows
        ([trained(1, 0.3, 0.4, 0.5)], 12),  # nothing was undone
        ([trained(1, 0.9, 0.1, 0.0)], 12),  # eleven of twelve became wrong: that is no chance
        ([replace(UNDONE, training=replace(TRAINING, validation_metric=()))], 12),  # no early stopping
    ],
)
def test_otherwise_there_is_none(rounds: list[RoundRecord], problems: int | None) -> None:
    assert told([record(0), *rounds], problems) == []


def test_several_rounds_are_one_caveat() -> None:
    (caveat,) = told([record(0), UNDONE, trained(2, 0.5, 0.58, 0.5)], 12)
    assert "to epoch 0 of 3 in round 1, the weights that it started from; to epoch 1 of 2 in round 2, by" in caveat


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([0.5, 0.58, 0.5], "Validation chose round 1 rather than round 2 by the answers to 12 problems"),
        ([0.5, 0.5, 0.5], "Validation chose the base model rather than round 2"),
        ([0.5, 0.5, 0.58], ""),
        ([0.9, 0.5, 0.1], ""),
    ],
)
def test_a_choice_of_round_by_a_few_answers_is_a_caveat(scores: list[float], said: str) -> None:
    first, *later = scores
    records = [record(0, validation_score=first), *(trained(n, score=score) for n, score in enumerate(later, 1))]
    records = [one if not one.round else replace(one, training=TRAINING) for one in records]
    found = [one for one in told(records, 12) if "Validation chose" in one]
    assert [said in one for one in found] == ([True] if said else [])


def test_the_log_says_which_epoch_was_kept_and_why_that_may_be_chance() -> None:
    kept, caveat = early_stopping_lines([UNDONE], 12)
    assert kept == "round 1: llama: kept epoch 0 of 3, validation 0.500, after the last 0.420, over 12 problems"
    assert caveat.startswith("round 1: Early stopping went back to epoch 0 of 3")
    assert len([*early_stopping_lines([UNDONE], 300)]) == 1 and not [*early_stopping_lines([trained(1, 0.3, 0.4)], 12)]
