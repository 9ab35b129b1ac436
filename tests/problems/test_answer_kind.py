from __future__ import annotations

import pytest

from selftrain.problems import ProblemSet
from selftrain.problems.answer_kind import answer_kind
from selftrain.types import Problem


def a_set(*references: str | None) -> ProblemSet:
    return ProblemSet("set", tuple(Problem(str(i), "?", reference) for i, reference in enumerate(references)))


@pytest.mark.parametrize(
    ("references", "kind"),
    [
        (("18", "-3", "1,400", "0.5", ".5", "3/4", "$12.50", "30%", "1.8333333333333335"), "number"),
        (("18", r"\frac{1}{2}"), "formula"),
        (("15, 9", "3, 4"), "formula"),
        ((None, "7"), "number"),
        ((None, None), "formula"),
        ((), "formula"),
    ],
)
def test_mathematics_asks_for_numbers_where_nearly_all_references_are(references: tuple[str, ...], kind: str) -> None:
    assert answer_kind("math", a_set(*references)) == kind


def test_a_few_ranges_among_many_numbers_change_nothing() -> None:
    assert answer_kind("math", a_set(*["7"] * 39, "7 to 9")) == "number"


def test_other_graders_say_it_themselves_and_of_foreign_ones_nothing_is_known() -> None:
    found = [answer_kind(name, a_set("7")) for name in ("choice", "code", "exact", "", "mine:reward")]
    assert found == ["letter", "code", "text", None, None]
