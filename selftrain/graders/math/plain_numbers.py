r"""The fast path: answers that are plain numbers, or lists of them, compared without a computer-algebra system.

| written                                      | read as                                                         |
|----------------------------------------------|-----------------------------------------------------------------|
| `18`, `+18`, `18.0`, `.5`, `30.`, U+2212 `−3` | the number; `18.0` is 18                                        |
| `14,916`, `14{,}916`, `14\,916`, `14 916`    | groups of three digits. A comma is never a decimal point        |
| `1/2`, `\frac12`, `\frac{-3}{4}`, `5\frac12` | the exact fraction, the mixed number                            |
| `2e3`, `2 \times 10^3`                       | 2000; exponents up to 1,000                                     |
| `$18`, `18€`, `18 dollars`, `12\text{ cm}^2` | 18, 18, 18, 12: currencies and units are not compared           |
| `3x`, `3 million`, `5 or more`, `2 h 30 min` | no plain number: attached letters, scale words, more digits     |
| `x = 12`, `7 + 5 = 12`, `x \approx 12`       | 12; `2x = 12` and `x + 3 = 12` are unsolved, so no number       |
| `7 = 7`, `x = x`                             | no number: a tautology                                          |
| `x = 1/3 \approx 0.33`                       | 1/3: the exact value counts, not its rounding                   |
| `28%`, `28 percent`                          | 28; if one side has no sign, 50% is also 0.5 (up to 1):         |
|                                              | 28% is 28, 50% is 1/2, but 700% is not 7                        |
| 0.3333333333                                 | 1/3: nine or more decimals are a rounding, to one part in 10^9  |
| `15, 9`, `15 and 9`, `\{9; 15\}`             | a list; order is free, the count is not                         |
| `x = 2, y = 3`                               | the same, but `3, 2` and `x = 3, y = 2` are wrong for it        |

Digits are decimal digits of any script. Lengths are capped, so every number is read quickly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from selftrain.graders.math.normalize_latex import normalize_latex

#: Characters of a text, and power of ten.
_MAX_LENGTH, _MAX_EXPONENT = 512, 1000
_ROUNDED_DECIMALS, _ROUNDING = 9, Fraction(1, 10**9)

_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
#: The most common spellings, read without normalization.
_COMMON = re.compile(
    r"(?P<digits>-?(?:[1-9]\d{0,2}(?:,\d{3}){1,5}|\d{1,18}))(?:\.(?P<decimals>\d{1,8}))?"
    r"|\\frac\{(?P<above>-?\d{1,18})\}\{(?P<below>[1-9]\d{0,17})\}",
    re.ASCII,
)
_FRACTION = re.compile(
    r"(?:(?P<whole>\d+)\s*(?=\\)|(?P<spaced>\d+)\s(?=\d+/))?"
    r"(?:\\frac\s*(?:\{\s*(?P<a>-?\d+)\s*\}|(?P<a1>\d))\s*(?:\{\s*(?P<b>-?\d+)\s*\}|(?P<b1>\d))"
    r"|(?P<a2>\d+)\s?/\s?(?P<b2>\d+))"
)
_DECIMAL = re.compile(
    r"(?P<digits>[1-9]\d{0,2}(?:,\d{3})+(?!\d)|[1-9]\d{0,2}(?: \d{3})+(?!\d)|\d+(?!\d)|(?=\.\d))"
    r"(?:\.(?P<decimals>\d*))?"
    r"(?:[eE](?P<e>[-+]?\d{1,4})(?!\d)|\s*(?:\\times|\\cdot|\*)\s*10\s*\^\s*\{?\s*(?P<power>[-+]?\d{1,4})(?!\d)\s*\}?)?"
)
_NAME_FREE = re.compile(r"\\[a-zA-Z]+|_\{\w+\}|_\w|\([\w, ]*\)")
_NAME = re.compile(r"[A-Za-z\s|:'{}]*[A-Za-z][A-Za-z\s|:'{}]*|[{}|:\s]+")
_SUM = re.compile(r"(?:[\d\s.,+\-*/%(){}^]|\\(?:times|cdot|div|frac)(?![a-zA-Z]))+")
_SEPARATOR = re.compile(r"\s*(?:,(?!\d{3}(?!\d))|;|\band\b|\bor\b)\s*")

_SHORT_UNIT = re.compile(r"[ckdmn]?m|[km]?g|lb|oz|ft|in|mi|yd|m?s|hr?|[Ll]|m[Ll]|mph|k[mp]h|[ap]m|cc")
_DEGREE_OR_POWER = re.compile(r"\^\s*\\circ(?:\s*[CF]\b)?|(?<=[A-Za-z])\s?\^\{?[23]\}?(?!\d)")
#: Words that change the number, add to it, or are numbers themselves.
_NO_UNIT = re.compile(
    r"(?:hundred|thousand|million|billion|trillion|dozen|half|halve|third|quarter|fourth|fifth|sixth|eighth|tenth"
    r"|hundredth|thousandth)s?|squared|cubed|factorial|pi|e|i|mod|and|or|to|minus|plus|times|over|below|negative|not"
)


class Number(NamedTuple):
    value: int | Fraction
    percent: bool = False
    #: Whether it has so many decimals that it must be a rounding.
    rounded: bool = False
    #: x of `x = 12`.
    name: str = ""


@lru_cache(maxsize=1 << 16)
def read_numbers(text: str) -> tuple[Number, ...] | None:
    """The plain numbers that an answer lists (mostly one), or None if it is anything else."""
    if _INTEGER.fullmatch(text):
        return (Number(int(text)),)
    if common := _COMMON.fullmatch(text):
        return (Number(_common_value(common)),)
    if len(text) > _MAX_LENGTH:
        return None
    text = normalize_latex(text)
    if text.startswith(r"\{") and text.endswith(r"\}"):
        text = text[2:-2]
    numbers = tuple(_read_number(part) for part in _SEPARATOR.split(text) if part)
    return tuple(n for n in numbers if n) if numbers and None not in numbers else None


def _common_value(match: re.Match[str]) -> int | Fraction:
    if match["below"]:
        return Fraction(int(match["above"]), int(match["below"]))
    decimals = match["decimals"] or ""
    digits = int(match["digits"].replace(",", "") + decimals)
    return Fraction(digits, 10 ** len(decimals)) if decimals else digits


def same_numbers(gold: Sequence[Number], answer: Sequence[Number]) -> bool:
    """Whether the lists hold the same numbers, in any order unless the gold names them."""
    if len(gold) == len(answer) == 1:
        return _same(gold[0], answer[0])
    names = {number.name for number in gold}
    if "" not in names and len(names) == len(gold) and not any(number.name for number in answer):
        return len(gold) == len(answer) and all(map(_same, gold, answer))
    left = list(answer)
    for number in gold:
        match = next((other for other in left if _same(number, other)), None)
        if match is None:
            return False
        left.remove(match)
    return not left


def _same(a: Number, b: Number) -> bool:
    if a.name and b.name and a.name != b.name:
        return False
    if _close(a, b):
        return True
    if a.percent == b.percent:
        return False
    share = Fraction(a.value if a.percent else b.value) / 100
    return abs(share) <= 1 and _close(Number(share), b if a.percent else a)


def _close(a: Number, b: Number) -> bool:
    if a.value == b.value:
        return True
    gold, answer = Fraction(a.value), Fraction(b.value)
    return (a.rounded or b.rounded) and abs(gold - answer) <= _ROUNDING * abs(gold)


def solved_side(text: str) -> str | None:
    """What follows the last `=` if only names and sums of numbers precede it; else None."""
    exact, approximately, rounding = text.partition(r"\approx")
    if approximately:
        text = rounding if not exact or _is_name(exact) else exact
    *before, value = text.split("=")
    if is_tautology(text):
        return None
    return value.strip() if all(_is_name(part) or _SUM.fullmatch(part) for part in before) else None


def is_tautology(text: str) -> bool:
    """Whether a text is an equation whose sides are the same text."""
    first, *others = text.split("=")
    return bool(others) and all(side.strip() == first.strip() for side in others)


def _is_name(text: str) -> bool:
    bare = _NAME_FREE.sub("", text)
    return bool(_NAME.fullmatch(bare)) or (not bare.strip() and bool(text.strip()))


def _read_number(text: str) -> Number | None:
    name = text.partition("=")[0].replace(" ", "") if "=" in text else ""
    text = solved_side(text) or ""
    if text.startswith(("(", "{")) and text.endswith((")", "}")):
        text = text[1:-1].strip()
    negative = text.startswith("-")
    text = text.lstrip("+-" if text[1:2] not in "+-" else "").lstrip()
    for pattern, value_of in ((_FRACTION, _fraction), (_DECIMAL, _decimal)):
        if match := pattern.match(text):
            number = value_of(match)
            unit = text[match.end() :]
            percent = unit.lstrip().startswith("%")
            if number is None or not is_unit(unit.lstrip().removeprefix("%") if percent else unit):
                return None
            value = -number.value if negative else number.value
            return Number(value, percent, number.rounded, name if name[:1].isalpha() or name[:1] == "\\" else "")
    return None


def _fraction(match: re.Match[str]) -> Number | None:
    part = match.groupdict()
    below = int(part["b"] or part["b1"] or part["b2"])
    whole = int(part["whole"] or part["spaced"] or 0)
    above = int(part["a"] or part["a1"] or part["a2"])
    return Number(whole + Fraction(above, below)) if below and not (whole and above < 0) else None


def _decimal(match: re.Match[str]) -> Number | None:
    digits = match["digits"].replace(",", "").replace(" ", "")
    decimals = match["decimals"] or ""
    exponent = int(match["e"] or match["power"] or 0)
    if abs(exponent) > _MAX_EXPONENT:
        return None
    if not decimals and not exponent:
        return Number(int(digits))
    value = Fraction(int(digits + decimals)) * Fraction(10) ** (exponent - len(decimals))
    return Number(value, rounded=len(decimals) >= _ROUNDED_DECIMALS)


def is_unit(text: str) -> bool:
    """Whether a text is empty or names a unit: ` dollars per day`, `cm^2`, `^\\circ`."""
    rest = _DEGREE_OR_POWER.sub(" ", text)
    words = [word.strip("'’()") for word in re.split(r"[\s/.\-]+", rest) if word]
    if not words:
        return not rest.strip()
    if any(not word.replace("'", "").isalpha() or _NO_UNIT.fullmatch(word.lower()) for word in words):
        return False
    first_is_short = bool(_SHORT_UNIT.fullmatch(words[0]))
    if text[0].isalpha():
        return first_is_short and len(words[0]) > 1
    return first_is_short or len(words[0]) > 2 or max(map(len, words[1:]), default=0) > 2
