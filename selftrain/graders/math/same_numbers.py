r"""When plain numbers are the same.

| gold, answer                    | the same                                                                          |
|---------------------------------|-----------------------------------------------------------------------------------|
| `18`, `18.0`; `0.5`, `\frac12`  | yes: by exact value                                                               |
| `1/3`, `0.3333333333`           | yes: nine or more decimals may be a rounding, by half a unit of the last place    |
| `3`, `3.0000000001`             | no: nothing is rounded to an integer                                              |
| `0.1`, `0.10000000000000001`    | yes: the same double, which a program printed                                     |
| `28%`, `28`                     | yes; if one side has no sign, 50% is also 0.5 (up to 1), but 700% is not 7        |
| `5 km`, `5`; `5 apples`, `5`    | yes: a unit or a plain name may be left out (see `units`)                         |
| `5 km`, `5000 m`                | yes; and 2 h 30 min are 150 min                                                   |
| `5 km`, `5 m`; `30°`, `30%`     | no; nor are apples pears                                                          |
| `15, 9`; `9, 15`                | yes: order is free, the count is not                                              |
| `x = 2, y = 3`; `2, 3`          | yes, but `3, 2` and `x = 3, y = 2` are wrong for it; so for `2 boys and 3 girls`  |
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from selftrain.graders.math.plain_numbers import Number
from selftrain.graders.math.units import Unit, same_kind

_NONE = Unit("")
#: Decimals from which on a number may be what a program printed of a double.
_DOUBLE_DECIMALS = 15


def same_numbers(gold: Sequence[Number], answer: Sequence[Number]) -> bool:
    """Whether the lists hold the same numbers, in any order unless the gold names them."""
    if len(gold) != len(answer):
        return False
    if len(gold) == 1:
        return _same(gold[0], answer[0])
    if _are_named(gold) and not any(number.name or number.unit for number in answer):
        return all(map(_same, gold, answer))
    left = list(answer)
    for number in gold:
        match = next((other for other in left if _same(number, other)), None)
        if match is None:
            return False
        left.remove(match)
    return True


def _are_named(numbers: Sequence[Number]) -> bool:
    """Whether each number has a name or unit of its own."""
    names = {(number.name, number.unit.kind if number.unit else "") for number in numbers}
    return ("", "") not in names and len(names) == len(numbers)


def _same(a: Number, b: Number) -> bool:
    if a.name and b.name and a.name != b.name:
        return False
    if a.unit is not b.unit and not _units_agree(a, b):
        return False
    first, second = a.value, b.value
    if a.unit and b.unit and a.unit.factor != b.unit.factor:
        first, second = first * a.unit.factor, second * b.unit.factor
    if first == second or _rounds(a, b):
        return True
    if a.percent == b.percent:
        return False
    percent, other = (a, b) if a.percent else (b, a)
    share = Number(Fraction(percent.value) / 100, decimals=percent.decimals and percent.decimals + 2)
    return abs(Fraction(share.value)) <= 1 and (share.value == other.value or _rounds(share, other))


def _units_agree(a: Number, b: Number) -> bool:
    if a.percent != b.percent and (b if a.percent else a).unit:
        return False
    if a.unit and a.unit.letter and not b.unit:
        return False
    return same_kind(a.unit or _NONE, b.unit or _NONE)


def _rounds(a: Number, b: Number) -> bool:
    """Whether one is the other rounded to the decimals that it is written with."""
    decimals = [number.decimals for number in (a, b) if number.decimals]
    if not decimals or Fraction(a.value).denominator == 1 or Fraction(b.value).denominator == 1:
        return False
    if a.unit and b.unit and a.unit.factor != b.unit.factor:
        return False
    if 2 * abs(Fraction(a.value) - Fraction(b.value)) <= Fraction(10) ** -min(decimals):
        return True
    return max(decimals) >= _DOUBLE_DECIMALS and float(a.value) == float(b.value)
