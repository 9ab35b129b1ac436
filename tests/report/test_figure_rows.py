from hypothesis import given
from hypothesis import strategies as st

from selftrain.report.figure_rows import spread


@given(st.sets(st.integers(0, 999), min_size=1), st.integers(0, 999), st.integers(4, 20))
def test_a_spread_keeps_the_ends_and_what_it_is_given_to_keep(numbers: set[int], keep: int, most: int) -> None:
    few = spread(numbers, keep=[keep], most=most)
    assert len(few) == min(len(numbers), most)
    assert few == sorted(few) and set(few) <= numbers
    assert {min(numbers), max(numbers)} | ({keep} & numbers) <= set(few)
