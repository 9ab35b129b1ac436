r"""The lenient verdict of the maths judge: what a benevolent reader would let pass.

It counts in reports, beside the strict one, and is never trained on. What the strict rule takes for right is right;
what it takes for wrong is looked at again in these ways, and in no other:

| way                | strictly wrong                       | leniently right for                                    |
|--------------------|--------------------------------------|--------------------------------------------------------|
| no marker          | several lines, no answer marked      | the last number of the text: `so that makes 18 apples` |
| first number       | `25, I used 2 steps`                 | 25: what a stated answer begins with                   |
| number words       | `twelve`                             | 12                                                     |
| decimal comma      | `1000,99`                            | 1000.99; `1,000` stays a thousand, a gold `1,2` a list |
| value of a formula | `3+4`, `\binom{7}{1}`, `2^{10}`      | 7, 7, 1024, by math-verify                             |
| rounding           | `583.3333`                           | 583 1/3: one part in 10,000 of what has no end         |

Neither lets pass: several values for one, a set or an interval around the gold, `7 = 7`, an equation yet to be solved,
700% for 7, another order of a pair.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from selftrain.graders.extract import has_marker
from selftrain.graders.math.math_verify_guard import for_math_verify, trouble, unlike
from selftrain.graders.math.normalize_latex import tidy
from selftrain.graders.math.plain_numbers import is_tautology, read_numbers
from selftrain.graders.math.strict import Comparer, Gold, UnreadableGoldError, grade_text, is_right, read_gold
from selftrain.types import Score

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
#: How much of a text's end is searched for a number.
_TAIL = 4000


def grade_leniently(gold: str | None, text: str, comparer: Comparer) -> Score:
    """The lenient verdict on a completion: the strict one, unless that is "wrong" and a way above makes it right."""
    strict = grade_text(gold, text, comparer)
    if strict.value != 0.0:
        return strict
    try:
        for way, golds, answer in _looser(read_gold(gold), strict.extracted_answer, text):
            if _is_right(golds, answer, comparer):
                return replace(strict, value=1.0, extracted_answer=answer, reason=f"leniently equal: {way}")
    except (UnreadableGoldError, OSError) as error:
        return replace(strict, value=None, reason=f"judge failed: {error}")
    return strict


def _looser(gold: Gold, answer: str | None, text: str) -> Iterator[tuple[str, Gold, str]]:
    """Ways of reading, each with the gold and the answer as they are read then."""
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
    numbers = read_numbers(answer)
    if numbers:
        return len(numbers) == 1 and _rounds(Fraction(gold.numbers[0].value), Fraction(numbers[0].value))
    plain = tidy(answer)
    if trouble(answer) or is_tautology(plain) or unlike(gold.tidy, plain):
        return False
    return comparer.compare(for_math_verify(gold.tidy), for_math_verify(plain))[0]


def _rounds(a: Fraction, b: Fraction) -> bool:
    return (_has_no_end(a) or _has_no_end(b)) and abs(a - b) <= _ROUNDING * min(abs(a), abs(b))


def _has_no_end(value: Fraction) -> bool:
    """Whether it cannot be written as a decimal: 1/3, unlike 1/8."""
    below = value.denominator
    for prime in (2, 5):
        while below % prime == 0:
            below //= prime
    return below != 1
