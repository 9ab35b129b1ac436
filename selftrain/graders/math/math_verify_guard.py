r"""Checks on the text before math-verify sees it: inputs that would hang it, and differences that it overlooks.

math-verify compares values: `5, 7` contains 5, `2x = 14` ends in 14, `204_6` and `204_5` are both read as 204, and
`9^{9^{9}}` is a value too.
"""

from __future__ import annotations

import re

from selftrain.graders.math.plain_numbers import is_unit, solved_side

#: math-verify's time doubles with each level of bare braces.
MAX_LENGTH, MAX_DEPTH = 512, 16

_BASE = re.compile(r"(?<=[\dA-F])_\{?(\d+)\}?$")
_RELATION = re.compile(r"[<>]|\\(?:le|ge|lt|gt|ne|leq|geq|neq)(?![a-zA-Z])|!=")
_TOO_HARD = (
    (re.compile(r"\^\s*\{?\s*-?\s*\d{4}"), "has a huge exponent"),
    (re.compile(r"\^[\s{(]*\d+\s*\^|\*\*"), "is a tower of powers"),
    (re.compile(r"(?:\d{3}|[)}!])\s*!"), "is a factorial of something large"),
    (re.compile(r"\d{101}"), "has a number of over 100 digits"),
)
_PIECES = re.compile(r"([()\[\]{},;]|\b(?:and|or)\b)")
_TRAILING_WORDS = re.compile(r"(?<=[\w})])\s[A-Za-z][A-Za-z /.-]*(?: ?\^\{?[23]\}?)?$")


def too_hard(text: str) -> str:
    """Why a text must not be given to math-verify; "" if it may."""
    if len(text) > MAX_LENGTH:
        return f"has {len(text)} characters, more than {MAX_LENGTH}"
    depth = deepest = 0
    for character in text:
        depth += (character in "({[") - (character in ")}]")
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        return f"is nested {deepest} deep, more than {MAX_DEPTH}"
    return next((why for pattern, why in _TOO_HARD if pattern.search(text)), "")


def difference_in_kind(gold: str, answer: str) -> str:
    """A difference between two normalized texts that math-verify would overlook; "" if there is none."""
    if _RELATION.search(gold) or _RELATION.search(answer):
        return ""
    golds, answers = split_list(gold), split_list(answer)
    if len({value.replace(" ", "") for value in golds}) != len({value.replace(" ", "") for value in answers}):
        return f"not as many values: {len(answers)} for {len(golds)}"
    if "=" not in gold and any(solved_side(value) is None for value in answers):
        return "an equation, not its solution"
    base, gold_base = _BASE.search(answer), _BASE.search(gold)
    if base and (gold_base is None or base[1] != gold_base[1]):
        return "in another base"
    return ""


def split_list(text: str) -> list[str]:
    """The values that a text lists at its top level. `a \\pm b` is two."""
    text = without_set_braces(text)
    values = [""]
    depth = 0
    for piece in _PIECES.split(text):
        depth += (piece in ("(", "[", "{")) - (piece in (")", "]", "}"))
        if depth <= 0 and piece in (",", ";", "and", "or"):
            values.append("")
        else:
            values[-1] += piece
    return [signed.strip() for value in values if value.strip() for signed in _both_signs(value)]


def without_set_braces(text: str) -> str:
    if text.startswith(r"\{") and text.endswith(r"\}"):
        return text[2:-2]
    if text.startswith("{") and text.endswith("}") and text.count("{") == 1:
        return text[1:-1]
    return text


def for_math_verify(text: str) -> str:
    """A normalized text without its unit, and with every `\\pm` written out."""
    words = _TRAILING_WORDS.search(text)
    if words and is_unit(words[0]):
        text = text[: words.start()]
    return ", ".join(split_list(text)) if r"\pm" in text else text


def _both_signs(value: str) -> list[str]:
    if r"\pm" not in value:
        return [value]
    plus = value.replace(r"\pm", "+").replace(r"\mp", "-")
    minus = value.replace(r"\pm", "-").replace(r"\mp", "+")
    return [plus.strip().removeprefix("+"), minus]
