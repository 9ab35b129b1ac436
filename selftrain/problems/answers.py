"""From what a data set calls an answer to the reference that a judge compares with.

Three styles occur: the gold stands as it is ("18", 39.0, ["15.0", "9.0"]), it follows `#### ` at the end of a worked
solution (GSM8K), or it is in the last box of one (MATH).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import Decimal
from numbers import Integral, Real
from typing import Literal

from selftrain.problems.rows import excerpt

#: "verbatim" is "plain" for judges that compare text: numbers in it keep their spelling.
Style = Literal["plain", "hashes", "box", "verbatim"]

_BOX = re.compile(r"\\(?:boxed|fbox)(?![a-zA-Z])\s*(\{)?")
_NUMBER = re.compile(r"([+-]?)(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d*))?", re.ASCII)
_FORMULA = re.compile(r"\$([^$]+)\$")
_LONE_NUMBER_IN_LIST = re.compile(r"\[\s*([^\s,\[\]]+)\s*\]")


def style_of(values: Iterable[object]) -> Style:
    """How a column states its answers. One row with a mark decides, so that rows which lack it are noticed."""
    texts = [value for value in values if isinstance(value, str)]
    if any(after_hashes(text) is not None for text in texts):
        return "hashes"
    if any(_BOX.search(text) for text in texts):
        return "box"
    return "plain"


def read_answer(value: object, style: Style) -> str | None:
    """The reference in `value`; None where it holds none.

    A list becomes its entries joined by ", ". Raises ValueError, saying what is wrong, where there is something that
    cannot be an answer.
    """
    if value is None or isinstance(value, str):
        return _read_text(value or "", style) or None
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, Real | Decimal):
        return plain_number(_digits(value))
    if isinstance(value, list | tuple):
        return ", ".join(_entry(item, style) for item in value) or None
    raise ValueError(f"the answer is a {type(value).__name__}, {excerpt(value)}")


def after_hashes(text: str) -> str | None:
    """What follows `####` in the last line; None where that line has no such mark."""
    _, mark, after = text.rstrip().rpartition("####")
    return after.strip() if mark and "\n" not in after else None


def last_box(text: str) -> str | None:
    r"""What the last `\boxed{...}`, `\fbox{...}` or `\boxed 2` holds; None where there is none or it never closes."""
    box = None
    for match in _BOX.finditer(text):
        box = match
    if box is None:
        return None
    if not box[1]:
        return re.split(r"[$\n]", text[box.end() :])[0].strip().rstrip(".") or None
    depth, escaped = 1, False
    for position, character in enumerate(text[box.end() :], start=box.end()):
        if not escaped:
            depth += (character == "{") - (character == "}")
        if depth == 0:
            return text[box.end() : position].strip()
        escaped = character == "\\" and not escaped
    return None


def plain_number(text: str) -> str:
    """A decimal number without separators and idle zeros: "39.0" -> "39", "1,400" -> "1400"; other text as it is."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return text
    sign, whole, fraction = match.groups()
    number = whole.replace(",", "").lstrip("0") or "0"
    if fraction and fraction.strip("0"):
        number += "." + fraction.rstrip("0")
    return f"-{number}" if sign == "-" and number != "0" else number


def _read_text(text: str, style: Style) -> str:
    text = text.strip()
    if style == "verbatim" or not text:
        return text
    if style == "hashes":
        marked = after_hashes(text)
        if marked is None:
            raise ValueError(f'no "#### " with the answer in the last line of {excerpt(text)}')
        return plain_number(marked)
    if style == "box":
        boxed = last_box(text)
        if boxed is None:
            raise ValueError(f"no whole \\boxed{{}} in {excerpt(text)}")
        return boxed
    if formula := _FORMULA.fullmatch(text):
        text = formula[1].strip()
    lone = _LONE_NUMBER_IN_LIST.fullmatch(text)
    return plain_number(lone[1] if lone and _NUMBER.fullmatch(lone[1]) else text)


def _entry(item: object, style: Style) -> str:
    read = None if isinstance(item, list | tuple) else read_answer(item, style)
    if read is None:
        raise ValueError(f"the list of answers holds {excerpt(item)}")
    return read


def _digits(value: Real | Decimal) -> str:
    if isinstance(value, Integral):
        return str(int(value))
    if not math.isfinite(value):
        raise ValueError(f"the answer is {value}, which is no number")
    return format(value if isinstance(value, Decimal) else Decimal(repr(float(value))), "f")
