from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selftrain.methods.filters import (
    cap_per_problem,
    drop_duplicates,
    drop_truncated,
    drop_unrewarded,
    problems_with,
    weigh_problems_equally,
    with_scores,
)
from selftrain.types import Prompt, Response, Sample, Score


def response(problem: int, index: int, text: str, finish="stop") -> Response:
    return Response(Prompt(f"p{problem}", "?"), "?", index, text, (1,), -1.0, finish, "m", 0)


scored = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from([0.0, 1.0, None]), st.sampled_from(["a", "b", " a", "c"]),
              st.sampled_from(["stop", "length"]), st.sampled_from([None, "7"])),
    max_size=60,
)  # fmt: skip


def samples_of(rows) -> list[Sample]:
    responses = [response(problem, index, text, finish) for index, (problem, _, text, finish, _) in enumerate(rows)]
    return with_scores(responses, [Score(value, answer) for _, value, _, _, answer in rows])


def select(samples: list[Sample], cap: int, threshold: float = 0.5) -> list[Sample]:
    return cap_per_problem(drop_duplicates(drop_unrewarded(drop_truncated(samples), threshold)), cap)


@given(scored, st.integers(1, 5))
def test_what_is_kept_is_right_whole_distinct_and_within_the_cap(rows, cap: int) -> None:
    kept = [s for s in select(samples_of(rows), cap) if s.kept]
    assert all(s.score.value == 1.0 and not s.response.truncated and s.weight == 1.0 for s in kept)
    assert max(Counter(s.response.prompt.problem_id for s in kept).values(), default=0) <= cap
    texts = [(s.response.prompt.problem_id, s.response.text.strip()) for s in kept]
    assert len(set(texts)) == len(texts)


@given(scored)
def test_every_sample_stays_in_its_place_and_a_dropped_one_has_a_reason(rows) -> None:
    before, after = samples_of(rows), select(samples_of(rows), 2)
    assert [s.response for s in before] == [s.response for s in after]
    assert all(s.kept == (s.weight > 0) == (s.drop_reason is None) for s in after)


@given(scored, st.floats(0.001, 0.999))
def test_with_rewards_of_0_and_1_any_threshold_between_keeps_the_same(rows, threshold: float) -> None:
    assert select(samples_of(rows), 3, threshold) == select(samples_of(rows), 3, 0.5)


def test_wrong_unread_and_unjudged_are_three_things() -> None:
    responses = [response(0, i, "x") for i in range(5)]
    scores = [Score(0.0, "20"), Score(0.0, None, "no answer found"), Score(None, None), Score(1.0, "18")]
    scores += [Score(0.2, None)]  # of a reward function, which reads no answers
    assert [s.drop_reason for s in drop_unrewarded(with_scores(responses, scores))] == [
        "wrong",
        "no answer",
        "unjudged",
        None,
        "wrong",
    ]


def test_the_cap_keeps_the_first() -> None:
    samples = with_scores([response(p, i, str(i)) for p in (0, 1) for i in range(20)], [Score(1.0, "1")] * 40)
    kept = [(s.response.prompt.problem_id, s.response.sample_index) for s in cap_per_problem(samples, 3) if s.kept]
    assert [index for _, index in kept] == [0, 1, 2, 0, 1, 2] and len({problem for problem, _ in kept}) == 2


@given(scored, st.integers(1, 4))
def test_what_is_kept_of_some_draws_stays_kept_when_more_follow(rows, cap: int) -> None:
    """So a problem that has its cap need not be asked again."""
    samples = samples_of(rows)
    for some in range(len(samples)):
        part = select(samples[:some], cap)
        full = problems_with(part, cap)
        whole = select(samples, cap)
        assert [s.kept for s in part] == [s.kept for s in whole[:some]]
        assert not any(s.kept for s in whole[some:] if s.response.prompt.problem_id in full)


def test_uniform_weights_give_every_solved_problem_the_same_weight() -> None:
    samples = with_scores(
        [response(p, i, str(i)) for p, n in ((0, 6), (1, 2), (2, 1)) for i in range(n)], [Score(1.0, "1")] * 9
    )
    weighed = weigh_problems_equally(samples)
    totals: Counter[str] = Counter()
    for sample in weighed:
        totals[sample.response.prompt.problem_id] += sample.weight
    assert list(totals.values()) == pytest.approx([3.0] * 3)
