r"""The lenient rule of the math grader: what a benevolent reader would accept.

Reports show it beside the strict verdict; it is never trained on. What is strictly right is right; what is strictly
wrong gets another look in these ways, and in no other:

| way                | strictly wrong                       | leniently right for                                    |
|--------------------|--------------------------------------|--------------------------------------------------------|
| no marker          | several lines, no answer marked      | the last number of the text: `so that makes 18 apples` |
| first number       | `25, I used 2 steps`                 | 25: what a stated answer begins with                   |
| number words       | `twelve`                             | 12                                                     |
| decimal comma      | `1000,99`                            | 1000.99; `1,000` stays a thousand, a gold `1,2` a list |
| value of a formula | `3+4`, `\binom{7}{1}`, `2^{10}`      | 7, 7, 1024, by math-verify                             |
| rounding           | `583.3333`                           | 583 1/3: one part in 10,000 of an endless decimal      |

Neither rule accepts several values for one, a set or an interval around the gold, `7 = 7`, an unsolved equation,
700% for 7, another order of a pair.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from selftrain.graders.extract import has_marker
from selftrain.graders.math.answers import read_answer
from selftrain.graders.math.compare import Comparer, Comparison
from selftrain.graders.math.math_verify_guard import too_hard
from selftrain.graders.math.normalize_latex import normalize_latex
from selftrain.graders.math.plain_numbers import Number, is_tautology, read_numbers
from selftrain.graders.math.strict import Gold, UnreadableGoldError, Verdict, grade_strictly, is_right, read_gold

#: Zero to twenty, then the tens.
_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
_TENS = ("thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred")
_VALUES = {**{word: i for i, word in enumerate(_WORDS)}, **{word: 10 * i for i, word in enumerate(_TENS, 3)}}
_NUMBER = re.compile(r"(?<![\w.,])-?\$?(?:\d{1,3}(?:,\d{3})+|\d{1,18})(?:\.\d{1,18})?(?![\d,.]*\d)(?!\^)%?")
_FIRST = re.compile(rf"({_NUMBER.pattern})[,;.]\s+(?!(?:or|and|but|to|maybe|perhaps)\b)[^\W\d][\w\s,.']*$")
_DECIMAL_COMMA = re.compile(r"-?(?:\d+,(?:\d{1,2}|\d{4,})|0,\d+)")
_COMMA_AFTER_ZERO = re.compile(r"-?0,\d{3,}")
_ROUNDING = Fraction(1, 10_000)
#: Characters at the end of a text that are searched for a number.
_TAIL = 4000


def grade_leniently(reference: str | None, text: str, comparer: Comparer) -> Verdict:
    """The lenient verdict on a completion: the strict one, unless it is "wrong" and one of the ways makes it right."""
    strict = grade_strictly(reference, text, comparer)
    if strict.value != 0.0:
        return strict
    try:
        for way, gold, answer in _readings(read_gold(reference), strict.answer, text):
            if _is_right(gold, answer, comparer):
                return Verdict(1.0, answer, f"leniently equal: {way}")
    except (UnreadableGoldError, OSError) as error:
        return Verdict(None, strict.answer, f"grader failed: {error}")
    return strict


def _readings(gold: Gold, answer: str | None, text: str) -> Iterator[tuple[str, Gold, str]]:
    """Lenient readings: the name of the way, and the gold and the answer read that way."""
    if answer is None or not has_marker(text):
        numbers = _NUMBER.findall(text[-_TAIL:]) if gold.numbers and not has_marker(text) else []
        if numbers:
            yield "the last number", gold, numbers[-1]
    if answer is None:
        return
    if gold.numbers and (first := _FIRST.match(answer)):
        yield "its first number", gold, first[1]
    if answer.casefold() in _VALUES:
        yield "a number in words", gold, str(_VALUES[answer.casefold()])
    if _DECIMAL_COMMA.fullmatch(answer):
        yield "a decimal comma", gold, answer.replace(",", ".")
    if _COMMA_AFTER_ZERO.fullmatch(gold.text):
        yield "a decimal comma", read_gold(gold.text.replace(",", ".")), answer
    yield "by its value", gold, answer


def _is_right(gold: Gold, answer: str, comparer: Comparer) -> bool:
    if is_right(gold, answer, comparer)[0]:
        return True
    if not gold.numbers or len(gold.numbers) > 1:
        return False
    (number,) = gold.numbers
    numbers = read_numbers(answer)
    if numbers:
        return len(numbers) == 1 and _rounds(number, numbers[0])
    plain = normalize_latex(answer)
    if too_hard(answer) or too_hard(plain) or is_tautology(plain):
        return False
    return Comparison(comparer).has_value(number, read_answer(plain))


def _rounds(a: Number, b: Number) -> bool:
    if a.unit != b.unit and a.unit and b.unit:
        return False
    first, second = Fraction(a.value), Fraction(b.value)
    return (_is_endless(first) or _is_endless(second)) and abs(first - second) <= _ROUNDING * min(
        abs(first), abs(second)
    )


def _is_endless(value: Fraction) -> bool:
    """Whether its decimals never end: 1/3, unlike 1/8."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest != 1
