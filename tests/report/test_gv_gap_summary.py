from dataclasses import replace

import pytest

from selftrain.report.gv_gap_summary import GapSummary, best_decoded_sentences, gap_summaries

from .runs import history, real, swept


def reduction_of(summary: GapSummary) -> float:
    assert summary.reduction is not None
    return summary.reduction.absolute


def test_gaps_before_and_after_and_on_average() -> None:
    *models, mean = gap_summaries(history(real("pst")))
    assert [gap.name for gap in models] == ["llama", "qwen2", "gemma2"] and mean.name == "mean of the 3 models"
    assert reduction_of(mean) == pytest.approx(sum(reduction_of(gap) for gap in models) / 3)
    assert mean.sentence.endswith("after round 3: smaller by 1.5 points (11 %)")


def test_no_percentage_of_a_gap_that_may_be_nothing() -> None:
    rounds = [
        one if one.gv_gap is None else replace(one, gv_gap=replace(one.gv_gap, gap=replace(one.gv_gap.gap, low=-0.01)))
        for one in real("pst")
    ]
    found = gap_summaries(history(rounds))
    reductions = [one.reduction for one in found if one.reduction is not None]
    assert len(reductions) == 4 and all(one.percent is None and one.why_no_percent for one in reductions)
    assert "no percentage: the gap before" in found[0].sentence


def test_the_best_decoded_base_is_told_whichever_way_it_falls() -> None:
    assert best_decoded_sentences(history(real("sept"))) == []
    base, trained = best_decoded_sentences(history(swept(real("sept"))))
    assert base == "best-decoded base: pass@1 75.5 [72.5, 78.5] % at T 0.3 and 0.6, over 1,000 problems"
    assert trained.startswith("round 10: pass@1 against the best-decoded base: 54.3 %, -21.2 points")
