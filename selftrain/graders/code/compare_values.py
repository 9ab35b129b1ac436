"""When what a program gave is what was expected.

| expected                       | equal to it                                                                         |
|--------------------------------|-------------------------------------------------------------------------------------|
| a value                        | an equal value; a tuple counts as a list, and a list of one as its only item        |
| a number with a fraction       | a finite number within a millionth of it                                            |
| an object (JSON)               | a dict whose keys read the same: JSON has texts for keys only                       |
| a text on standard output      | the same words in the same lines; blanks at the ends of lines and of the text aside |
| a word that is a decimal there | a plain decimal within a millionth of it                                            |

Several right outputs cannot be told from the data: a problem that allows them is judged by the one it lists.
"""

from __future__ import annotations

import math
import re
from typing import Any

_CLOSE = 1e-6
_DECIMAL = re.compile(r"[-+]?[0-9]{1,30}\.[0-9]{1,30}")
_NUMBER = re.compile(r"[-+]?[0-9]{1,30}(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,2})?")
#: Not str.split: that also splits at control characters, which a right output does not hold.
_BLANKS = re.compile(r"[ \t]+")


def same_value(found: Any, expected: Any) -> bool:
    """Whether a call gave the value that a task lists."""
    # The files wrap some expected values in a list of one, and there is no telling which.
    return _equal(found, expected) or (isinstance(expected, list) and len(expected) == 1 and _equal(found, expected[0]))


def _equal(found: Any, expected: Any) -> bool:
    if isinstance(expected, list):
        if not isinstance(found, (list, tuple)) or len(found) != len(expected):
            return False
        return all(_equal(one, other) for one, other in zip(found, expected, strict=True))
    if isinstance(expected, dict):
        if not isinstance(found, dict) or len(found) != len(expected):
            return False
        named = {str(key): value for key, value in found.items()}
        return all(str(key) in named and _equal(named[str(key)], value) for key, value in expected.items())
    if isinstance(expected, float):
        return isinstance(found, (int, float)) and _close(found, expected)
    if isinstance(found, float):
        return isinstance(expected, int) and _close(found, expected)
    return bool(found == expected)


def _close(found: float, expected: float) -> bool:
    try:
        return math.isfinite(expected) and math.isclose(found, expected, rel_tol=_CLOSE, abs_tol=_CLOSE)
    except OverflowError:  # an integer beyond any float
        return False


def same_output(found: str, expected: str) -> bool:
    """Whether a program wrote what a task lists."""
    ours, theirs = _lines(found), _lines(expected)
    return len(ours) == len(theirs) and all(map(_same_line, ours, theirs))


def _lines(text: str) -> list[list[str]]:
    lines = text.replace("\r\n", "\n").rstrip(" \t\n").split("\n")
    return [[word for word in _BLANKS.split(line) if word] for line in lines]


def _same_line(ours: list[str], theirs: list[str]) -> bool:
    return len(ours) == len(theirs) and all(map(_same_word, ours, theirs))


def _same_word(ours: str, theirs: str) -> bool:
    if ours == theirs:
        return True
    # Plain spellings only: "nan" and "1e400" are no way past a tolerance.
    return bool(_DECIMAL.fullmatch(theirs) and _NUMBER.fullmatch(ours)) and _close(float(ours), float(theirs))
