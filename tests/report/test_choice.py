import pytest
from hypothesis import given
from hypothesis import strategies as st

from selftrain.report.choice import best_round, headline_round, thinned
from selftrain.report.findings import chosen_and_last
from selftrain.report.gv_gap_summary import decoded_sentences, gaps

from .runs import GAIN, SEVERAL, line, long_run, real, swept


def scored(*scores: tuple[int, str, float]) -> list:
    return [line(number, 0.01, 0.5, model, validation=score) for number, model, score in scores]


def test_the_mean_over_the_models_decides_for_all() -> None:
    rounds = scored((0, "a", 0.5), (0, "b", 0.5), (1, "a", 0.9), (1, "b", 0.2), (2, "a", 0.6), (2, "b", 0.7))
    assert best_round(rounds) == 2
    assert [found[0].line["round"] for found in chosen_and_last(rounds).values()] == [2, 2]


def test_a_round_has_to_beat_the_base_and_the_later_of_equals_wins() -> None:
    assert best_round(scored((0, "a", 0.5), (1, "a", 0.5))) == 0
    assert headline_round(scored((0, "a", 0.5), (1, "a", 0.5))) == 1
    assert best_round(scored((0, "a", 0.5), (1, "a", 0.6), (2, "a", 0.6))) == 2


def test_a_model_that_learned_nothing_counts_in_the_mean() -> None:
    rounds = scored((0, "a", 0.5), (0, "b", 0.9), (1, "a", 0.6), (1, "b", 0.9))
    del rounds[3]["training"]
    assert best_round(rounds) == 1


def test_without_weights_a_round_cannot_be_kept() -> None:
    rounds = scored((0, "a", 0.5), (1, "a", 0.9), (2, "a", 0.6))
    del rounds[1]["weights"]
    assert best_round(rounds) == 2


def test_without_validation_it_is_the_last_that_trained() -> None:
    assert best_round(GAIN) == best_round(SEVERAL) == 2
    idle = line(2)
    del idle["training"]
    assert best_round([line(0), line(1), idle]) == 1
    assert best_round([]) == best_round([line(0)]) == 0


def test_real_runs() -> None:
    assert best_round(real("sept")) == 10
    # Round 5 of pst was probed, but not evaluated: it has no weights.
    assert best_round(real("pst")) == 3
    assert best_round(long_run()) == 300


@given(st.sets(st.integers(0, 999), min_size=1), st.integers(0, 999), st.integers(4, 20))
def test_thinned_keeps_the_ends_and_what_it_is_told_to(numbers: set[int], keep: int, most: int) -> None:
    few = thinned(numbers, keep=[keep], most=most)
    assert len(few) == min(len(numbers), most)
    assert few == sorted(few) and set(few) <= numbers
    assert {min(numbers), max(numbers)} | ({keep} & numbers) <= set(few)


def test_gaps_before_and_after_and_on_average() -> None:
    *models, mean = gaps(real("pst"))
    assert [gap.name for gap in models] == ["llama", "qwen2", "gemma2"] and mean.name == "mean of the 3 models"
    assert mean.absolute == pytest.approx(sum(gap.absolute or 0 for gap in models) / 3)
    assert mean.sentence.endswith("after round 3: smaller by 1.5 points (11 %)")


def test_no_percentage_of_a_gap_that_may_be_nothing() -> None:
    rounds = real("pst")
    for one in rounds:
        if "gv_gap" in one:
            one["gv_gap"]["gap"]["low"] = -0.01
    assert all(gap.percent is None and gap.why_no_percent for gap in gaps(rounds))
    assert "no percentage: the gap before" in gaps(rounds)[0].sentence


def test_the_best_decoded_base_is_told_whichever_way_it_falls() -> None:
    assert decoded_sentences(real("sept")) == []
    base, trained = decoded_sentences(swept(real("sept")))
    assert base == "best-decoded base: pass@1 75.5 [72.5, 78.5] % at T 0.3 and 0.6, over 1,000 problems"
    assert trained.startswith("round 10: pass@1 against the best-decoded base: 54.3 %, -21.2 points")
