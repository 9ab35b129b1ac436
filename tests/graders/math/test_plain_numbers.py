r"""The fast path. The cases are the rows of the table in `selftrain.graders.math.plain_numbers`."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selftrain.graders.math.plain_numbers import read_numbers
from selftrain.graders.math.same_numbers import same_numbers
from selftrain.graders.math.worker import MathWorker


def same(gold: str, answer: str) -> bool:
    golds, answers = read_numbers(gold), read_numbers(answer)
    assert golds, f"{gold} is no plain number"
    return bool(answers) and same_numbers(golds, answers or ())


NUMBERS = [
    ("18", 18), ("+18", 18), ("18.0", 18), (".5", Fraction(1, 2)), ("30.", 30), ("−3", -3), ("-3", -3), ("007", 7),
    ("14,916", 14916), ("14{,}916", 14916), ("11,\\! 111,\\! 111", 11111111), ("10\\,000", 10000), ("1 000", 1000),
    ("1/2", Fraction(1, 2)), ("\\frac12", Fraction(1, 2)), ("\\dfrac{1}{2}", Fraction(1, 2)), ("½", Fraction(1, 2)),
    ("\\frac{-3}{4}", Fraction(-3, 4)), ("-\\frac{3}{4}", Fraction(-3, 4)), ("\\frac 1 2", Fraction(1, 2)),
    ("5\\frac{1}{2}", Fraction(11, 2)), ("-5\\frac12", Fraction(-11, 2)), ("583 1/3", Fraction(1750, 3)),
    ("2e3", 2000), ("2 \\times 10^3", 2000), ("6.02\\times 10^{-2}", Fraction(301, 5000)),
    ("6.02×10^23", 602 * 10**21),
    ("$18", 18), ("\\$18", 18), ("-$5", -5), ("18€", 18), ("18 dollars", 18), ("12\\text{ cm}^2", 12),
    ("12 m²", 12),
    ("60^\\circ", 60), ("60°", 60), ("20 km/h", 20), ("8 a day", 8), ("12cm", 12), ("$18$", 18), ("\\(18\\)", 18),
    ("x = 12", 12), ("7 + 5 = 12", 12), ("x \\approx 12", 12), ("\\approx 12", 12), ("f(2) = 12", 12),
    ("x_1 = 12", 12),
    ("x = 1/3 \\approx 0.33", Fraction(1, 3)), ("1/3 \\approx 0.33", Fraction(1, 3)), ("x = 5+5+1 = 11", 11),
    ("1⅜", Fraction(11, 8)), ("1⁄2", Fraction(1, 2)), ("6.02 × 10²³", 602 * 10**21), ("2.5 x 10^3", 2500),
    ("9'500", 9500), ("9_500", 9500), ("1{,}234{.}5", Fraction(2469, 2)), ("9\\mathord{,}500", 9500),
    ("0.\\overline{3}", Fraction(1, 3)), ("0.1(6)", Fraction(1, 6)), ("1.\\overline{142857}", Fraction(8, 7)),
    ("\\nicefrac{1}{2}", Fraction(1, 2)), ("{1 \\over 2}", Fraction(1, 2)), ("\\textcolor{red}{13}", 13),
    ("\\mathbf{\\text{13}}", 13), ("13\\,", 13), ("\\Large 13", 13), ("`58`", 58), ("２／３", Fraction(2, 3)),
    ("3 million", 3 * 10**6), ("3\\text{ million}", 3 * 10**6), ("$1.5 billion", 15 * 10**8), ("2 dozen eggs", 24),
    ("5 crore", 5 * 10**7), ("USD 70,000", 70000), ("Rs. 70,000", 70000), ("US$ 5", 5), ("12元", 12),
    ("12平方厘米", 12), ("13\\ \\mathrm{m\\,s^{-1}}", 13), ("2 h 30 min", Fraction(5, 2)),
    ("5 feet and 6 inches", Fraction(11, 2)), ("1h30m", Fraction(3, 2)), ("5-1/2", Fraction(11, 2)),
    ("**73**", 73), ("(5)", 5), ("٧", 7), ("７.0", 7), ("28\\%", 28),
]  # fmt: skip


def test_what_is_a_number() -> None:
    for written, value in NUMBERS:
        assert [number.value for number in read_numbers(written) or ()] == [value], written


NO_NUMBERS = [
    "", "x", "twelve", "3x", "3 x", "3m", "x3", "1.2.3", "5 (or 6)", "12 B",
    "5 or more", "about 5", "at least 5", "7-4", "3 \\times 4", "3 * 4", "2^{10}", "12^2", "12^{2}", "4\\sqrt{2}",
    "2x = 12", "x + 3 = 12", "x^2 = 9", "x > 5", "x \\ne 5", "x != 5", "(3,4)", "[3,4]", "5!", "1/0",
    "\\frac{1}{0}",
    "5 (mod 7)", "12 12 12", "204_5", "½½", "2**3", "5'6", "1e99999", "9" * 600, "10^" + "9" * 50, "O", "l8", "５²",
    "AZYUK2A", "--5", "$5$6", "0x10", "1_00", "inf", "5 = 6", "5 = 6 = 7",
    "\\frac{1}{2} m v^2", "\\frac12 b h", "5 x", "7 or so", "nan",
]  # fmt: skip


def test_what_is_not() -> None:
    assert [written for written in NO_NUMBERS if read_numbers(written) is not None] == []


PAIRS = [
    ("28\\%", "28", True), ("28", "28 percent", True), ("50\\%", "0.5", True), ("\\frac12", "50\\%", True),
    ("7", "700\\%", False), ("50\\%", "5\\%", False), ("28\\%", "0.28\\%", False),
    ("\\frac13", "0.3333333333", True), ("\\frac13", "0.333", False), ("0.1", "0.10000000000000001", True),
    ("11111111100", "11111111103", False), ("0.0000001", "0.0000002", False), ("1000.99", "1000,99", False),
    ("15, 9", "9 and 15", True), ("15, 9", "\\{9; 15\\}", True), ("15, 9", "15", False), ("15", "15, 9", False),
    ("15, 9", "15, 15", False), ("15, 9", "15, 9, 9", False), ("7200.0, 2800.0", "$7,200 and $2,800", True),
    ("11.2, 28.8", "11.2 pounds and 28.8 pounds", True), ("1,2", "1.2", False), ("1,2", "12", False),
    ("x = 2, y = 3", "x = 3, y = 2", False), ("x = 2, y = 3", "y = 3, x = 2", True), ("x = 2, y = 3", "2, 3", True),
    ("x = 2, y = 3", "3, 2", False), ("x = 3", "y = 3", False), ("k = 1", "1", True),
    ("n = 1, 2, 3", "3, 2, 1", True),
    ("1/3", "33.3333333333%", True), ("123456789012", "123456789112.0000000000", False),
    ("3", "3.0000000001", False),
    ("0.3333333333", "0.3333333334", False), ("10/3", "3.3333333333", True), ("10/3", "3.3333333334", False),
    ("0.3", "0.30000000000000004", False),
    # Units, and the names of what was counted.
    ("5", "5 km", True), ("5 km", "5", True), ("5 km", "5 m", False), ("5 km", "5000 m", True),
    ("5 km", "5 kilometers", True), ("12 m", "12 m²", False), ("5 m", "5 m/s", False),
    ("40 mph", "40 miles per hour", True),
    ("12 square feet", "12 sq ft", True), ("30^\\circ", "30%", False), ("30^\\circ", "30 degrees", True),
    ("30'", "30''", False),
    ("$5", "5 dollars", True), ("$5", "€5", False), ("$5", "500 cents", True), ("-$5", "$-5", True),
    ("2 h 30 min", "150 minutes", True), ("2 h 30 min", "2 hours and 30 minutes", True),
    ("2 h 30 min", "3 h 20 min", False),
    ("2 h 30 min", "2.5", False), ("5 ft 6 in", "6 ft 5 in", False), ("7 lb 8 oz", "8 lb 7 oz", False),
    ("5", "5 apples", True), ("5 apples", "5 pears", False), ("5 apples", "5 red apples", True),
    ("5 apples", "5 apple", True),
    ("5", "5 apples left", True), ("5", "5 children in all", True), ("8", "8 times", True),
    ("5", "5 slices of pizza", True),
    ("2 boys and 3 girls", "3 girls and 2 boys", True), ("2 boys and 3 girls", "3 boys and 2 girls", False),
    ("2 red, 3 blue", "3 red, 2 blue", False), ("3 tens 5 ones", "5 tens 3 ones", False),
    ("3", "3 million", False), ("5000000", "5 million", True), ("5", "5 crore", False),
    ("12", "12 sevenths", False),
    ("5", "5 perhaps seven", False), ("5", "5 red", False), ("5", "5 more apples", False),
    ("5", "5 tenths of apples", False),
    ("5", "5 halves", False), ("5", "5 hundred", False), ("5", "5 plus", False), ("5", "5 dozens", False),
    ("\\frac{1}{2} m", "\\frac{1}{2}", False), ("25%", "25% of the students", True),
    ("10", "100", False), ("-3", "3", False), ("3", "-3", False), ("23", "2**3", False), ("34", "$3$4$", False),
]  # fmt: skip


def test_when_numbers_are_the_same() -> None:
    assert [(gold, answer) for gold, answer, right in PAIRS if same(gold, answer) is not right] == []


PLAIN = st.one_of(
    st.integers(-99_999, 99_999).map(str),
    st.integers(1000, 10**9).map("{:,}".format),
    st.decimals(-1000, 1000, places=2).map(str),
    st.tuples(st.integers(-99, 99), st.integers(1, 99)).map(lambda ab: f"\\frac{{{ab[0]}}}{{{ab[1]}}}"),
)


@pytest.fixture(scope="module")
def worker():
    worker = MathWorker(limit=20.0)
    yield worker
    worker.close()


@settings(max_examples=150)
@given(gold=PLAIN, other=PLAIN, keep=st.booleans())
def test_the_fast_path_gives_the_verdicts_of_math_verify(worker: MathWorker, gold: str, other: str, keep: bool) -> None:
    answer = f"{gold}.0" if keep and gold.lstrip("-").isdigit() else gold if keep else other
    assert same(gold, answer) == worker.compare(gold, answer)[0]


@given(st.text(max_size=40))
def test_no_text_breaks_the_reader(text: str) -> None:
    numbers = read_numbers(text)
    assert numbers is None or same_numbers(numbers, numbers)


@given(st.fractions(), st.sampled_from(["{}", "${}$", "x = {}", "{} apples", "The total = {}", "\\({}\\)"]))
def test_clothes_do_not_change_a_number(value: Fraction, clothes: str) -> None:
    numbers = read_numbers(clothes.format(f"\\frac{{{value.numerator}}}{{{value.denominator}}}"))
    assert numbers is not None
    assert [number.value for number in numbers] == [value]


@pytest.mark.parametrize(
    "text",
    [
        "18", "-18", "007", "-0", "1,234", "-1,234,567", "12,34", "0,111", "1234,567", "18.0", "-0.25", "1,234.5", ".5",
        "30.", "0.33333333", "0.333333333", "\\frac{1}{2}", "\\frac{-3}{4}", "-\\frac{3}{4}", "\\frac{1}{0}",
        "\\frac{1}{04}", "1" * 18, "1" * 19, "1.5e3", "١٨",
    ],
)  # fmt: skip
def test_common_spellings_are_read_as_all_others_are(text: str) -> None:
    """With a space behind it, a text takes the long way."""
    assert read_numbers(text) == read_numbers(f"{text} ")


def test_common_spellings_are_read_as_the_rare_ones_are() -> None:
    before = ["", "$", "$$", "\\(", "-"]
    numbers = ["42", "1,234", "0.5", "007", "\\frac{1}{2}", "12.123456789"]
    behind = ["", "$", "$$", "\\)", "%", "\\%", " apples", " red apples", " dollars", " million", " or"]
    spellings = ["".join(parts) for parts in product(before, numbers, behind)]
    # A space at the end is no part of a spelling, but makes it a rare one.
    assert [one for one in spellings if read_numbers(one) != read_numbers(one + " ")] == []
