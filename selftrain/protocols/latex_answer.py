"""Final answers in LaTeX, normalized as in Lewkowycz et al. 2022 (arXiv:2206.14858), appendix D, with the corrections
of lm-eval 0.4.13.
"""

from __future__ import annotations

import re
from collections.abc import Callable

#: Replaced in this order.
_REPLACED = (
    ("an ", ""), ("a ", ""), (".$", "$"), ("\\$", ""), ("\\ ", ""), (" ", ""), ("mbox", "text"),
    (",\\text{and}", ","), ("\\text{and}", ","), ("\\text{m}", "\\text{}"),
)  # fmt: skip
#: Removed in this order: units and the like, then what is no word.
_WORDS = (
    "square", "ways", "integers", "dollars", "mph", "inches", "ft", "hours", "km", "units",
    "sue", "points", "feet", "minutes", "digits", "cents", "degrees", "cm", "gm",
    "pounds", "meters", "meals", "edges", "students", "childrentickets", "multiples",
)  # fmt: skip
#: Position in the list is position in the order of removal, between the words.
_REMOVED = (
    *_WORDS[:10], "\\ldots", *_WORDS[10:], "\\text{s}", "\\text{.}", "\\text{\ns}", "\\text{}^2", "\\text{}^3",
    "\\text{\n}", "\\text{}", "\\mathrm{th}", "^\\circ", "^{\\circ}", "\\;", ",\\!", "{,}", '"', "\\dots",
)  # fmt: skip
_COMMAND = re.compile(r"(\\[a-zA-Z]+)")
#: Markup around the answer, and shorthand: \fracab, \sqrt[3]a, \sqrta.
_UNWRAPPED = tuple(
    (re.compile(pattern), by)
    for pattern, by in (
        (r"(.*?)(\$)(.*?)(\$)(.*)", r"$\3$"),
        (r"(\\text\{)(.*?)(\})", r"\2"),
        (r"(\\textbf\{)(.*?)(\})", r"\2"),
        (r"(\\overline\{)(.*?)(\})", r"\2"),
        (r"(\\boxed\{)(.*)(\})", r"\2"),
        (r"(frac)([^{])(.)", r"frac{\2}{\3}"),
        (r"(sqrt)(\[[^\]]*\])(\w)", r"\1\2{\3}"),
        (r"(sqrt)(?!\[)([^{])", r"sqrt{\2}"),
    )
)
_THOUSANDS = re.compile(r"-?\d{1,3}(,\d{3})+")


def normalized(answer: str) -> str:
    """What follows the last equals sign, without units, markup, spaces and separators of thousands."""
    answer = answer.split("=")[-1]
    for word in _WORDS:
        answer = re.sub(rf"(?<!\\)\b{word}\b", "", answer)
    for before, after in _REPLACED:
        answer = answer.replace(before, after)
    for removed in _REMOVED:
        answer = _outside_commands(answer, removed) if removed.isalpha() else answer.replace(removed, "")
    for pattern, by in _UNWRAPPED:
        answer = pattern.sub(by, answer)
    answer = answer.replace("$", "")
    return answer.replace(",", "") if _THOUSANDS.fullmatch(answer) else answer


def _outside_commands(answer: str, word: str) -> str:
    """Without `word`, but \\left keeps its "ft"."""
    parts = _COMMAND.split(answer)
    return "".join(part if place % 2 else part.replace(word, "") for place, part in enumerate(parts))


def last_box(solution: str) -> str | None:
    """The content of the last \\boxed{} (or \\fbox{}), braces balanced; None where there is none.

    Of `\\boxed 5` what stands up to the next dollar sign.
    """
    if "\\boxed " in solution:
        return solution.split("\\boxed ")[-1].split("$")[0]
    start = max(solution.rfind("\\boxed"), -1)
    start = start if start >= 0 else solution.rfind("\\fbox")
    end = None if start < 0 else _closing(solution, start)
    if end is None or not solution.startswith("\\boxed{", start):
        return None
    return solution[start + len("\\boxed{") : end]


def _closing(text: str, start: int) -> int | None:
    """The place of the brace that closes the first one opened after `start`."""
    depth = 0
    for place in range(start, len(text)):
        if text[place] == "{":
            depth += 1
        elif text[place] == "}":
            depth -= 1
            if depth == 0:
                return place
    return None


def same_value(answer: str, target: str, parse: Callable[[str], object]) -> bool:
    """Whether two normalized answers are the same text, or their difference simplifies to 0.

    Args:
        parse: from LaTeX to an expression of sympy; what it raises means that the two are not the same.
    """
    if answer and answer == target:
        return True
    import sympy

    try:
        # Text that is no arithmetic parses to expressions that cannot be subtracted.
        return bool(sympy.simplify(parse(answer) - parse(target)) == 0)  # type: ignore[operator]
    except Exception:  # sympy raises whatever it meets; lm-eval counts each of them as not the same
        return False
