"""Reading without labels: one spelling for equal answers, and no look at a reference."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selftrain.errors import GraderError
from selftrain.graders import MathGrader, canonical, open_reader
from selftrain.types import Problem
from tests.graders.answers import grade, problem, response


class Untouchable:
    """A reference that cannot be looked at in any way."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"the reference was touched: {name}")

    def __bool__(self) -> bool:
        raise AssertionError("the reference was touched")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("the reference was touched")

    def __str__(self) -> str:
        raise AssertionError("the reference was touched")

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("name", ["math", "choice", "exact"])
def test_the_reference_is_never_touched(name: str) -> None:
    reader = open_reader(name)
    for reference in (None, Untouchable()):
        score = grade(reader, Problem("p", "?", reference), "So the answer is B.")  # type: ignore[arg-type]
        assert (score.value, score.extracted_answer, score.reason) == (None, "B", "read, not judged")
    assert reader.grade([response("#### B")], {})[0].extracted_answer == "B"


CLASSES = [
    (["18", "18.0", "$18", "$18$", "18 apples", "+18", "x = 18", r"18\text{ cm}", "9 + 9 = 18"], "18"),
    (["1,800", "1800", "1{,}800", "1 800"], "1800"),
    (["1/2", "0.5", ".5", r"\frac12", r"\dfrac{1}{2}", "½"], "0.5"),
    (["1/3", r"\frac{2}{6}", "0.3333333333"], "1/3"),
    (["-3", "−3", r"\frac{-6}{2}"], "-3"),
    (["9, 15", "15 and 9", r"\{9; 15\}", "x = 9 or x = 15"], "9, 15"),
    (["x = 2, y = 3", "y = 3, x = 2"], "x = 2, y = 3"),
    (["(B)", "B", "B)"], "B"),
    (["Evelyn", "evelyn.", r"\text{Evelyn}"], "evelyn"),
    (["(3, 4)", r"\left( 3 , 4 \right)", "(3,4)"], "(3,4)"),
]


@pytest.mark.parametrize(("spellings", "common"), CLASSES, ids=lambda value: value if isinstance(value, str) else "")
def test_equal_answers_have_one_spelling(spellings: list[str], common: str) -> None:
    assert {canonical(text) for text in spellings} == {common}
    assert canonical(common) == common


def test_one_spelling_is_equal_to_the_grader_too(math_grader: MathGrader) -> None:
    for spellings, _ in CLASSES:
        for gold in spellings:
            if "9 + 9" in gold:  # no form for a gold
                continue
            if gold in ("$18", "18 apples", r"18\text{ cm}"):  # a gold with a unit is no other unit
                continue
            verdicts = [grade(math_grader, problem(gold), f"#### {text}") for text in spellings]
            assert [v.value for v in verdicts] == [1.0] * len(spellings), gold
    firsts = [common for _, common in CLASSES]
    assert len(set(firsts)) == len(firsts)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 2, y = 3", "x = 3, y = 2"),
        ("3", "-3"),
        ("28", "0.28"),
        ("A", "a"),
        ("3x", "3"),
        ("", "0"),
        ("12:30", "12"),
        ("12 sevenths", "12"),
        ("2 boys and 3 girls", "3 boys and 2 girls"),
        ("204_5", "204"),
        ("10-20", "10"),
    ],
)
def test_different_answers_stay_apart(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


@given(st.integers(-(10**15), 10**15), st.integers(1, 9999))
def test_numbers_come_back_as_they_are(above: int, below: int) -> None:
    text = canonical(f"{above}/{below}" if above >= 0 else f"-{-above}/{below}")
    assert canonical(text) == text
    assert canonical(f"{above}") == str(above)
    assert canonical(f"{above}.50") == canonical(f"{above}.5")


def test_a_rounding_without_a_fraction_keeps_nine_figures() -> None:
    assert canonical("3.14159265358979") == canonical("3.1415926535") == "3.14159265"
    assert canonical("3.14") == "3.14"


def test_nothing_stated_is_nothing_read() -> None:
    for name in ("math", "choice", "exact"):
        score = open_reader(name).grade([response("Hm.\nWell.")], {})[0]
        assert (score.value, score.extracted_answer) == (None, None)
        assert score.reason == "no answer found"


@pytest.mark.parametrize(
    "prose",
    [
        "Tom buys 5 more.", "She sold 5 apples", "I don't know.", "Let's think step by step.", "It is red",
        "To find the total we add 3 and 4", "The store is open every day", "He has 5 apples left of 12.",
        "Sure, here are the steps to solve it", "You're right, that was wrong", "20% of 50 is 10",
    ],
)  # fmt: skip
def test_a_line_of_prose_is_no_answer(prose: str) -> None:
    (score,) = open_reader().grade([response(prose)], {})
    assert (score.extracted_answer, score.reason) == (None, "no answer found")
    # A text may be what is asked for, and what is marked is an answer.
    assert open_reader("exact").grade([response(prose)], {})[0].extracted_answer is not None
    assert open_reader().grade([response("#### all real numbers except 2")], {})[0].extracted_answer is not None


@pytest.mark.parametrize(
    "value",
    ["18 apples", "5 cubic inches per minute", "no real solutions", "July 4, 2020", "odd", "x = 5 and y = 3",
     "[0, 2) and (3, 5]", r"x \in (0, 1) or x > 5", r"\text{all but the first one}", "3 hours and 20 minutes",
     "Evelyn"],
)  # fmt: skip
def test_a_line_that_is_a_value_is_one(value: str) -> None:
    assert open_reader().grade([response(value)], {})[0].extracted_answer == canonical(value.rstrip("."))


def test_a_word_that_was_cut_off_is_not_read() -> None:
    assert open_reader().grade([response("#### 14 1", finish_reason="length")], {})[0].extracted_answer == "14"
    assert open_reader().grade([response("#### 14", finish_reason="length")], {})[0].extracted_answer is None


def test_a_line_of_words_that_was_cut_off_is_no_answer() -> None:
    prose = "Haley recycled 11 pounds. Her friends recycled 16 pounds. So they recycled 27 pounds. Since"
    assert open_reader().grade([response(prose, finish_reason="length")], {})[0].extracted_answer is None
    assert open_reader().grade([response("18 \n", finish_reason="length")], {})[0].extracted_answer == "18"


def test_a_grader_without_a_reading_is_refused() -> None:
    with pytest.raises(GraderError, match="grader 'my_rewards:f' cannot read answers"):
        open_reader("my_rewards:f")
