"""When a program's value or output equals the expected one.

| expected                       | equal to it                                                                         |
|--------------------------------|-------------------------------------------------------------------------------------|
| an integer                     | a number of exactly its value: `3.0` for 3, but no float that is merely near it     |
| true, false                    | the same, or the integer 1 or 0, which Python calls equal; no float                 |
| a float                        | a finite number within a millionth of it; no bool                                   |
| a text, null                   | the same                                                                            |
| a list                         | equal items in this order in a list, tuple, range, deque or array; not a set, which |
|                                | has no order. A list of one counts as its only item                                 |
| an object (JSON)               | a dict with the same keys as strings: JSON has no other keys                        |
| a text on standard output      | the same words in the same lines, blanks at the ends of lines and of the text aside |
| a word that is a decimal there | a plain decimal within a millionth of it                                            |

A problem that allows several right outputs is graded by the one it lists: the data does not say which problems do.
"""

from __future__ import annotations

import math
import re
from collections import deque
from decimal import Decimal
from fractions import Fraction
from typing import Any

_TOLERANCE = 1e-6
_DECIMAL = re.compile(r"[-+]?[0-9]{1,30}\.[0-9]{1,30}")
_NUMBER = re.compile(r"[-+]?[0-9]{1,30}(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,2})?")
#: Not str.split, which also splits at control characters.
_BLANKS = re.compile(r"[ \t]+")
_NUMBERS = (int, float, Fraction, Decimal)
_SEQUENCES = (list, tuple, range, deque)


def same_value(found: Any, expected: Any) -> bool:
    """Whether a call returned the value that a task lists."""
    # APPS wraps some expected values in a list of one, and does not say which.
    return _equal(found, expected) or (isinstance(expected, list) and len(expected) == 1 and _equal(found, expected[0]))


def _equal(found: Any, expected: Any) -> bool:
    if isinstance(expected, list):
        if not isinstance(found, _SEQUENCES) or len(found) != len(expected):
            return False
        return all(map(_equal, found, expected))
    if isinstance(expected, dict):
        if not isinstance(found, dict) or len(found) != len(expected):
            return False
        named = {str(key): value for key, value in found.items()}
        return all(str(key) in named and _equal(named[str(key)], value) for key, value in expected.items())
    if isinstance(expected, bool):
        return type(found) in (bool, int) and bool(found == expected)
    if isinstance(expected, float):
        return type(found) in _NUMBERS and _close(found, expected)
    # Python compares numbers of different types by their exact values: no tolerance, however large they are.
    return bool(found == expected)


def _close(found: Any, expected: float) -> bool:
    try:
        if not math.isfinite(expected):
            return bool(found == expected)
        return math.isclose(found, expected, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    except (OverflowError, ValueError):  # an integer too large for a float; a Decimal that signals
        return False


def same_output(found: str, expected: str) -> bool:
    """Whether a program wrote the output that a task lists."""
    found_lines, expected_lines = _lines(found), _lines(expected)
    return len(found_lines) == len(expected_lines) and all(map(_same_line, found_lines, expected_lines))


def _lines(text: str) -> list[list[str]]:
    lines = text.replace("\r\n", "\n").rstrip(" \t\n").split("\n")
    return [[word for word in _BLANKS.split(line) if word] for line in lines]


def _same_line(found: list[str], expected: list[str]) -> bool:
    return len(found) == len(expected) and all(map(_same_word, found, expected))


def _same_word(found: str, expected: str) -> bool:
    if found == expected:
        return True
    # Plain spellings only, so that "nan" and "1e400" cannot meet a tolerance.
    return bool(_DECIMAL.fullmatch(expected) and _NUMBER.fullmatch(found)) and _close(float(found), float(expected))
