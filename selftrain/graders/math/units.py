r"""What may stand behind a number: a unit of a known list, or the name of what was counted.

| written                               | read as                                                                 |
|---------------------------------------|-------------------------------------------------------------------------|
| `cm`, `centimeters`, `km/h`, `cm^2`   | a known unit, with its dimension and factor: 1 m is 100 cm, 1 m no 1 cm |
| `square feet`, `m s^{-1}`, `per hour` | the same                                                                |
| `$5`, `USD`, `Rs.`, `€`, `cents`      | money; other currencies are other units                                 |
| `million`, `thousand`, `crore`        | a factor: `5 million` is 5,000,000, and `3 million` is not 3            |
| `apples`, `red apples`, `(apples)`    | a name. Compared with another name, or left out on one side             |
| `red`, `tens`, `perhaps seven`        | a name that must not be left out: it may change the number              |

A name may be left out only if it is a plural ("apples") of which no word is a number, a fraction ("sevenths"), a scale
("crore"), a comparison ("more"), a negation or a hedge.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from selftrain.graders.math.unit_words import (
    ALTERING,
    CHINESE_COUNTERS,
    DATES_AND_TIMES,
    IRREGULAR_PLURALS,
    KNOWN,
    NO_PLURALS,
    NUMBER_WORD,
    SCALES,
    TRAILING,
)


class Unit(NamedTuple):
    """A unit, or the name of what was counted."""

    #: Dimension (`length time^-1`) or name (`red apple`).
    kind: str
    factor: Fraction = Fraction(1)
    #: Whether it may be left out on one side.
    optional: bool = True
    #: Of `million`: part of the number itself.
    scale: int = 1
    #: Whether this is the name of what was counted.
    named: bool = False
    #: Whether it was written as one letter, which in a gold may be an unknown.
    letter: bool = False


_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*\.?|\$|€|£|¥|₹|₽|₩|元|\^\\circ|''|'", re.UNICODE)
_POWER = re.compile(r"\s*\^\s*\{?\s*(-?[1-6])\s*\}?|(?<=[a-z])([23])(?![\d])")
_NAME_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
#: A word, a name, or a plural like DVDs; `12 B` is a code.
_PLAIN = re.compile(r"[^\W\dA-Z]+(?:['’][^\W\dA-Z]+)?|[A-Z][^\W\dA-Z]{3,}|[A-Z]{2,4}s")
_HEAD_END = re.compile(r"\b(?:of|per|a|an|every)\b")
_PER = re.compile(r"\s*(?:/|\bper\b|\ban?\b|\beach\b|\bevery\b)\s*")
_LETTER = re.compile(r"[a-zA-Z](?:\s*\^.*)?")
#: `g h` is a product of unknowns.
_LETTERS_ALONE = re.compile(r"[a-zA-Z](?:\s*\^\s*\{?[23]\}?)?(?:\s+[a-zA-Z](?:\s*\^\s*\{?[23]\}?)?)+")
_TEMPERATURE = re.compile(r"(?:\^\\circ|\bdegrees?\b)\s*(?:([CF])\b|([Cc])elsius|[Ff]ahrenheit)")
_CHINESE_POWER = re.compile(r"(平|立)方([^\W\d_]+)")
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_POWERS_BEHIND = {"squared": 2, "cubed": 3}


@lru_cache(maxsize=1 << 14)
def read_unit(text: str) -> Unit | None:
    """The unit or name that a text behind a number is; None if it is neither."""
    text = text.strip()
    while text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    scale = 1
    while (match := re.match(r"[a-z]+", text)) and match[0] in SCALES:
        scale *= SCALES[match[0]]
        text = text[match.end() :].lstrip()
        if text.startswith("of "):
            text = text[3:]
    if not text:
        return Unit("", scale=scale)
    known = _known(text)
    if known is not None and not _LETTERS_ALONE.fullmatch(text):
        return Unit(*known, scale=scale, letter=bool(_LETTER.fullmatch(text)))
    return _name(text, scale)


def currency(code: str) -> Unit:
    """The unit of `$`, `US$`, `USD`, `Rs.`."""
    return Unit(KNOWN[code.rstrip(".").lower()][0])


def same_kind(a: Unit, b: Unit) -> bool:
    """Whether two units or names can be of one thing: `red apples` are apples, and no pears."""
    if a.kind == b.kind or not (a.kind and b.kind):
        return a.kind == b.kind or (a.optional and b.optional)
    if not (a.named and b.named):
        return False
    first, second = set(a.kind.split()), set(b.kind.split())
    return (first < second or second < first) and not any(map(_alters, first ^ second))


def _known(text: str) -> tuple[str, Fraction] | None:
    """Dimension and factor of a known unit: each part of `m/s` a product of known words."""
    text = _TEMPERATURE.sub(lambda m: "celsius" if (m[1] or m[2]) in ("C", "c") else "fahrenheit", text)
    text = _CHINESE_POWER.sub(lambda m: f"{m[2]}^{2 if m[1] == '平' else 3}", text)
    powers: list[str] = []
    factor = Fraction(1)
    for place, part in enumerate(_PER.split(text)):
        if not part.strip() and not place:
            continue  # of `per day`
        found = _product(part)
        if not found:
            return None
        for name, of_one, power in found:
            power = -power if place else power
            factor *= of_one**power
            # Hours per day stay hours per day.
            powers.append(name if power == 1 else f"{name}^{power}")
    return " ".join(sorted(powers)), factor


def _product(text: str) -> list[tuple[str, Fraction, int]] | None:
    found: list[tuple[str, Fraction, int]] = []
    power = 1
    at = 0
    text = re.sub(r"\\cdot(?![a-z])|\\times(?![a-z])|-|\*", " ", text) if "^{-" not in text else text
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        match = _WORD.match(text, at)
        if match is None:
            return None
        at = match.end()
        word = match[0].rstrip(".")
        if word.lower() in _POWERS:
            power = _POWERS[word.lower()]
            continue
        if word in _POWERS_BEHIND and found:
            found[-1] = (*found[-1][:2], _POWERS_BEHIND[word])
            continue
        entry = _lookup(word)
        if entry is None:
            return None
        raised = _POWER.match(text, at)
        if raised:
            if power != 1:
                return None  # square m^2
            at = raised.end()
            power = int(raised[1] or raised[2])
        if entry[0] == "speed":
            found += [("length", entry[1], 1), ("time", Fraction(1), -1)]
        else:
            found.append((*entry, power))
        power = 1
    return found if power == 1 else None


def _lookup(word: str) -> tuple[str, Fraction] | None:
    lower = word.lower()
    for spelling in (word, lower if len(word) > 2 else word, singular(lower) if len(word) > 2 else word):
        if spelling in KNOWN:
            return KNOWN[spelling]
    return None


def _name(text: str, scale: int) -> Unit | None:
    """What was counted: one to six words."""
    if text in CHINESE_COUNTERS:
        return Unit(text, scale=scale, named=True)
    words = [word.strip(".,'’\"") for word in text.split()]
    if not 1 <= len(words) <= 6 or not all(map(_NAME_WORD.fullmatch, words)):
        return None
    if any(len(word) == 1 and word != "a" for word in words) or max(map(len, words)) < 3:
        return None
    if words[0].lower() in DATES_AND_TIMES:
        return None  # 5 June, 10 AM
    content = [singular(word) for word in map(str.lower, words) if word not in TRAILING]
    return Unit(" ".join(content), optional=_is_harmless(words), scale=scale, named=True)


def _alters(word: str) -> bool:
    if word in ALTERING or not all(map(_PLAIN.fullmatch, word.split("-"))):
        return True
    return any(part == "non" or NUMBER_WORD.fullmatch(part) for part in word.lower().split("-"))


def _is_harmless(words: list[str]) -> bool:
    """Whether the words leave the number before them as it is."""
    if words == ["times"]:
        return True
    if any(map(_alters, words)):
        return False
    heads = " ".join(word for word in words if word not in TRAILING)
    head = _HEAD_END.split(heads, maxsplit=1)[0].split()
    return not heads or (bool(head) and is_plural(head[-1]))


def is_plural(word: str) -> bool:
    return word in IRREGULAR_PLURALS or (
        len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "'s")) and word not in NO_PLURALS
    )


def singular(word: str) -> str:
    if word in IRREGULAR_PLURALS:
        return IRREGULAR_PLURALS[word]
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("shes", "ches", "xes", "sses", "oes")):
        return word[:-2]
    return word[:-1] if len(word) > 2 and word.endswith("s") and not word.endswith("ss") else word
