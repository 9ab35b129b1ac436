r"""One spelling for all answers that mean the same, so that they can be counted without a gold answer.

| stated                                        | canonical                                                         |
|-----------------------------------------------|-------------------------------------------------------------------|
| `18`, `18.0`, `$18`, `18 apples`, `x = 18`    | `18`                                                              |
| `1,800`, `1800`                               | `1800`                                                            |
| `1/2`, `0.5`, `\frac12`                       | `0.5`; `1/3` if the decimals do not end                           |
| `0.3333333333`                                | `1/3`: nine or more decimals are a rounding, as for the grader    |
| `50%`                                         | `50`: the grader accepts 50 and 0.5, but one has to be chosen     |
| `9, 15`, `15 and 9`, `x = 9, x = 15`          | `9, 15`                                                           |
| `y = 3, x = 2`                                | `x = 2, y = 3`                                                    |
| `12 sevenths`, `2 boys and 3 girls`           | `12 seventh`; `2 boy, 3 girl`: names that must not be left out    |
| `(B)`, `B)`, `B`; `Odd.`, `odd`               | `B`; `odd`                                                        |
| `\left( 3 , 4 \right)`                        | `(3,4)`: formulas by their normalized text, never by algebra      |
| one line of prose, which marks no answer      | nothing: no other answer could agree with it                      |

The grader also equates 50% with 0.5, `x = 2, y = 3` with `2, 3`, and formulas of different form. That relation is not
transitive, so it has no canonical spelling: answers with one spelling are equal to the grader, but not always the
other way round. Units are left out, as in most golds, so `5 km` and `5 m` have one spelling.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from selftrain.graders.completion import readable_text
from selftrain.graders.extract import extract_answer, has_marker
from selftrain.graders.math.answers import read_answer
from selftrain.graders.math.literals import Literal
from selftrain.graders.math.normalize_latex import normalize_latex, without_idle_spaces
from selftrain.graders.math.plain_numbers import Number, read_numbers
from selftrain.types import Response

#: A rounded decimal becomes a simple fraction up to this denominator: nine decimals tell those apart.
_LARGEST_DENOMINATOR = 10_000
_ROUNDING = Fraction(1, 10**9)
_WORD = re.compile(r"(?<![^\W\d_])[^\W\d_]{2,}")
_VERB = re.compile(
    r"\b(?:is|are|was|were|has|have|had|will|can|does|do|did|need|makes?|gets?|got|let|know)\b|['’](?:s|re|t)\b",
    re.IGNORECASE,
)
_FORMULA = re.compile(r"[\\$=<>^_{}]")


def extract_canonical(response: Response) -> str | None:
    """The canonical spelling of the answer that a response states; None if it states none."""
    text = readable_text(response)
    answer = extract_answer(text)
    if answer is None or (is_prose(answer) and not has_marker(text)):
        return None
    return canonical(answer)


def is_prose(answer: str) -> bool:
    """Whether a text is a sentence rather than a value: `Tom buys 5 more`, not `no real solutions`.

    A sentence has a common verb, or four words of which one may be a number. No text with a formula is one.
    """
    if _FORMULA.search(answer) or read_numbers(answer):
        return False
    return bool(_VERB.search(answer)) or (len(answer.split()) > 3 and len(_WORD.findall(answer)) > 2)


def canonical(answer: str) -> str:
    """The canonical spelling of an extracted answer."""
    numbers = read_numbers(answer)
    if numbers:
        return _spell_numbers(numbers)
    plain = normalize_latex(answer)
    # An answer that normalizes to nothing is still an answer, unlike all others.
    listing = read_answer(plain)
    value = listing.entries[0].value
    if len(listing.entries) == 1 and isinstance(value, Literal) and value.kind in ("letter", "words") and value.says[0]:
        return str(value.says[0])
    return without_idle_spaces(plain) or answer


def _spell_numbers(numbers: Sequence[Number]) -> str:
    names = {number.name for number in numbers}
    if len(numbers) > 1 and "" not in names and len(names) == len(numbers):
        return ", ".join(f"{n.name} = {_spell(_value(n))}" for n in sorted(numbers, key=lambda n: n.name))
    kinds = {number.unit.kind for number in numbers if number.unit}
    several = len(kinds) > 1
    found = sorted((_value(n), n.unit.kind if n.unit and (several or not n.unit.optional) else "") for n in numbers)
    return ", ".join(f"{_spell(value)} {kind}".strip() for value, kind in found)


def _value(number: Number) -> Fraction:
    """The exact value; of a rounding, the simple fraction next to it, else the first nine digits."""
    value = Fraction(number.value)
    if not number.decimals:
        return value
    simple = value.limit_denominator(_LARGEST_DENOMINATOR)
    if abs(value - simple) <= _ROUNDING * abs(simple):
        return simple
    return Fraction(f"{Decimal(value.numerator) / Decimal(value.denominator):.8e}")


def _spell(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    decimal = Decimal(value.numerator) / Decimal(value.denominator)
    return f"{decimal:f}" if Fraction(decimal) == value else f"{value.numerator}/{value.denominator}"
