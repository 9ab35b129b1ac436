r"""The plainest spelling of an answer: without math delimiters, spacing commands and currency signs, synonyms unified.

`\left( \tfrac12 ,\; 3 \right)`  ->  `( \frac12 , 3 )`        `$1{,}000\text{ cm}$`  ->  `1,000 cm`
"""

from __future__ import annotations

import re
import unicodedata

#: Characters with an equivalent ASCII or LaTeX spelling. Look-alikes that are other letters stay as they are.
_SPELLINGS = (
    r"× \times,÷ /,· \cdot,⋅ \cdot,² ^2,³ ^3,° ^\circ,％ %,½ \frac{1}{2},⅓ \frac{1}{3},⅔ \frac{2}{3},¼ \frac{1}{4},"
    r"¾ \frac{3}{4},π \pi,∞ \infty,≤ \le,≥ \ge,≠ \ne,≈ \approx,∪ \cup"
)
_SIGNS = str.maketrans(
    {
        **dict.fromkeys("\N{MINUS SIGN}\N{EN DASH}\N{FULLWIDTH HYPHEN-MINUS}\N{SMALL HYPHEN-MINUS}", "-"),
        **dict.fromkeys("\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}", " "),
        **dict.fromkeys('$€£¥₹“”"', " "),
        # A space ends the name of a command.
        **{sign: name + " " * name[-1].isalpha() for sign, name in map(str.split, _SPELLINGS.split(","))},
    }
)

_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\\\(?=[a-zA-Z])", r"\\"),  # a backslash escaped twice; skipped below if it ends a row
        (r"(?<!\\)\\[()\[\]]", " "),
        (r"\\!\s*", ""),
        (r"√\s?(\d+)", r"\\sqrt{\1}"),
        (r"\s*\{\s*,\s*\}\s*", ","),
        (r"(?<=\d)\\,(?=\d{3}(?!\d))", ","),  # a thin space between groups of three digits
        (r"(?<!\\)\\(?:[,;: ]|quad\b|qquad\b|displaystyle\b)|~", " "),
        (r"\\(?:left|right)(?![a-zA-Z])", ""),
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\\(?:text|mbox|mathrm|mathbf|mathit|textbf|textit|textrm|textnormal)\s*\{([^{}]*)\}", r" \1 "),
        (r"\\%|\b(?:percent(?:age)?|pct)\b", "%"),
        (r"\^\s*\{\s*\\circ\s*\}|\\degree\b", r"^\\circ "),
        (r"(?<!\w)\*\*([^*]+)\*\*(?!\w)", r"\1"),
        (r"(?<=\{)\s+|\s+(?=\})", ""),
    )
)
#: No rewrite applies to a text without one of these.
_NEEDS_REWRITE = re.compile(r"[\\~√*{}]|percent|pct")
_IDLE_SPACE = re.compile(r" (?=[^\w ])|(?<=[^\w ]) ")


def normalize_latex(text: str) -> str:
    """The same answer in its plainest spelling. For short texts: an answer, not a completion."""
    if not text.isascii():
        text = "".join(str(unicodedata.decimal(c, c)) for c in text)
    text = text.replace(r"\$", " ").replace(r"\"", " ").translate(_SIGNS)
    in_rows = "matrix}" in text or "array}" in text  # here `\\` ends a row
    for pattern, replacement in _REWRITES[in_rows:] if _NEEDS_REWRITE.search(text) else ():
        text = pattern.sub(replacement, text)
    text = " ".join(text.split())
    return text.rstrip(".,;: ").lstrip(",;: ")


def without_idle_spaces(text: str) -> str:
    """A normalized text without spaces that separate nothing: `(3, 4)` is `(3,4)`, but `1 2` stays."""
    return _IDLE_SPACE.sub("", text)
