r"""Reading without judging: which answer a completion states, in one spelling for all that mean the same.

For work without labels (votes, agreement, a peer's answer). A problem's reference is never looked at.

| stated                                        | the answer                                                        |
|-----------------------------------------------|-------------------------------------------------------------------|
| `18`, `18.0`, `$18`, `18 apples`, `x = 18`    | `18`                                                              |
| `1,800`, `1800`                               | `1800`                                                            |
| `1/2`, `0.5`, `\frac12`                       | `0.5`; `1/3` where there is no end to the decimals                |
| `0.3333333333`                                | `1/3`: nine places or more are a rounding, as for the judge       |
| `50%`                                         | `50`: the judge takes 50 and 0.5 for it, but one has to be chosen |
| `9, 15`, `15 and 9`, `x = 9, x = 15`          | `9, 15`                                                           |
| `y = 3, x = 2`                                | `x = 2, y = 3`                                                    |
| `(B)`, `B)`, `B`; `Odd.`, `odd`               | `B`; `odd`                                                        |
| `\left( 3 , 4 \right)`                        | `(3,4)`: formulas by their tidied text, never by computer algebra |

The judge's "equal" also holds between 50% and 0.5, between `x = 2, y = 3` and `2, 3`, and between formulas
that differ in form. Equality that is not transitive has no common spelling, so these stay apart: two answers with one
spelling are equal to the judge, hardly ever the other way round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from selftrain.errors import GraderError
from selftrain.graders.base import Grader
from selftrain.graders.code.extract_program import program_text
from selftrain.graders.extract import read_answer
from selftrain.graders.math.grader import whole_words
from selftrain.graders.math.normalize_latex import tidy, tight
from selftrain.graders.math.plain_numbers import Number, read_numbers
from selftrain.graders.math.strict import is_words, normal_words
from selftrain.graders.text import read_after_phrase, read_letter
from selftrain.types import Problem, Response, Score

#: A rounding is taken for the fraction it stands for up to this denominator: nine places tell those apart.
_LARGEST_DENOMINATOR = 10_000
_ROUNDING = Fraction(1, 10**9)


class AnswerReader(Grader):
    """Gives every response `Score(None, answer, reason)`: read, and never judged.

    Args:
        style: the judge it reads like, for the name and for messages.
        read: finds the answer of a response, in its common spelling.
    """

    scores_independently = True

    def __init__(self, style: str, read: Callable[[Response], str | None]) -> None:
        self.name, self._read = f"reader:{style}", read

    def grade(self, responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
        """`problems` is not even looked into, so it may be empty."""
        return [self._score(response) for response in responses]

    def _score(self, response: Response) -> Score:
        began = time.perf_counter()
        answer = self._read(response)
        return Score(
            None, answer, "no answer found" if answer is None else "read, not judged", time.perf_counter() - began
        )


def open_reader(grader_name: str = "math") -> AnswerReader:
    """The reader that belongs to the data's judge: "math", "choice", "exact" or "code".

    Raises:
        GraderError: the judge has no way of reading of its own (a reward function).
    """
    if grader_name not in _READINGS:
        raise GraderError(
            f"There is no reader for the judge {grader_name!r}.",
            "Answers that are to be compared with each other have to be read.",
            f"Name one of {', '.join(map(repr, _READINGS))}.",
        )
    return AnswerReader(grader_name, _READINGS[grader_name])


def canonical(answer: str) -> str:
    """The common spelling of an answer that the maths judge has read."""
    numbers = read_numbers(answer)
    if numbers:
        return _spell_numbers(numbers)
    plain = tidy(answer)
    # What tidies to nothing is still an answer, and unlike all others.
    return (normal_words(plain) if is_words(plain) else tight(plain)) or answer


def _read_maths(response: Response) -> str | None:
    answer = read_answer(whole_words(response))
    return None if answer is None else canonical(answer)


_READINGS: dict[str, Callable[[Response], str | None]] = {
    "math": _read_maths,
    # These two judges compare what they read as it stands, so it is its own common spelling.
    "choice": lambda response: read_letter(response.text),
    "exact": lambda response: read_after_phrase(response.text) or None,
    "code": lambda response: program_text(response.text),
}


def _spell_numbers(numbers: Sequence[Number]) -> str:
    if len(numbers) == 1:
        return _spell(_value(numbers[0]))
    names = {number.name for number in numbers}
    if "" not in names and len(names) == len(numbers):
        return ", ".join(f"{n.name} = {_spell(_value(n))}" for n in sorted(numbers, key=lambda n: n.name))
    return ", ".join(_spell(value) for value in sorted(map(_value, numbers)))


def _value(number: Number) -> Fraction:
    """The exact value; for a rounding that of the simple fraction next to it, else its first nine figures."""
    value = Fraction(number.value)
    if not number.rounded:
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
