r"""Characters with a plainer spelling: `10²³` is `10^{23}`, `1⅜` is `1\frac{3}{8}`, `√(x+1)` is `\sqrt{x+1}`.

Look-alikes that are other letters (a Cyrillic `О`) stay as they are: they are no digits and no Latin letters.
"""

from __future__ import annotations

import re
import unicodedata

from selftrain.graders.math.word_lists import split_words

#: Each sign and what it is spelled as.
_NAMED = r"""
× \times | ÷ / | · \cdot | ⋅ \cdot | ∙ \cdot | ∗ * | ⁄ / | ∕ / | ± \pm | ∓ \mp | − - | – - | ‒ - | ‐ - | ‑ - | － -
﹣ - | ° ^\circ | º ^\circ | ℃ ^\circ C | ℉ ^\circ F | ∘ \circ | π \pi | ∞ \infty | Ω \Omega | ∅ \emptyset | ∪ \cup
∩ \cap
≤ \le | ⩽ \le | ≥ \ge | ⩾ \ge | ≠ \ne | ≈ \approx | ∈ \in | ∖ \setminus | ℝ \mathbb{R} | ℤ \mathbb{Z} | ℕ \mathbb{N}
∠ \angle | △ \triangle | ⊥ \perp | ∥ \parallel | ∼ \sim | ≅ \cong | ∣ \mid | Γ \Gamma | Δ \Delta | Θ \Theta | Λ \Lambda
Ξ \Xi | Π \Pi | Σ \Sigma | Φ \Phi | Ψ \Psi | ′ ' | ″ '' | ’ ' | ‘ ' | “ " | ” " | ， ; | 、 ; | 。 . | … ...
㎝ cm | ㎞ km | ㎏ kg | ㎜ mm | ㎡ m^2 | ㎠ cm^2 | ㎥ m^3
"""
_GREEK = split_words(
    """
    alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho final_sigma sigma tau
    upsilon phi chi psi omega
    """
)
_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱˣ", "0123456789+-=()nix", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₙ", "0123456789+-=()n", strict=True))
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad"


def _table() -> dict[int, str]:
    table = dict(entry.split(" ", 1) for entry in re.split(r" \| |\n", _NAMED.strip()))
    table |= {chr(0x3B1 + at): f"\\{name}" for at, name in enumerate(_GREEK) if name not in ("omicron", "final_sigma")}
    # A space ends the name of a command.
    table = {sign: name + " " * (name[-1].isalpha() and "\\" in name) for sign, name in table.items()}
    return str.maketrans(table | dict.fromkeys(_INVISIBLE, ""))


_TABLE = _table()
_RAISED = re.compile(f"[{''.join(map(re.escape, _SUPERSCRIPTS))}]+")
_LOWERED = re.compile(f"[{''.join(map(re.escape, _SUBSCRIPTS))}]+")
_RAISED_OVER_LOWERED = re.compile(r"([⁰¹²³⁴⁵⁶⁷⁸⁹]+)[⁄/]([₀₁₂₃₄₅₆₇₈₉]+)")
_FRACTION_SLASH = re.compile(r"(?<![\d.⁄])(\d+)⁄(\d+)(?![\d.⁄])")
_ROOT = re.compile(r"(√|∛)\s?(?:\(([^()]*)\)|\{([^{}]*)\}|(\d+(?:\.\d+)?|[a-zA-Z]|\\pi))")


def _in_other_digits(run: str, digits: dict[str, str]) -> str:
    return "".join(digits[c] for c in run)


def _root(match: re.Match[str]) -> str:
    return f"\\sqrt{'[3]' if match[1] == '∛' else ''}{{{match[2] or match[3] or match[4] or ''}}}"


def spell_plainly(text: str) -> str:
    """The same text in ASCII and LaTeX as far as it goes; a text in ASCII is returned as it is."""
    if text.isascii():
        return text
    text = _RAISED_OVER_LOWERED.sub(
        lambda m: f"\\frac{{{_in_other_digits(m[1], _SUPERSCRIPTS)}}}{{{_in_other_digits(m[2], _SUBSCRIPTS)}}}", text
    )
    text = _FRACTION_SLASH.sub(r"\\frac{\1}{\2}", text)
    text = _RAISED.sub(lambda m: f"^{{{_in_other_digits(m[0], _SUPERSCRIPTS)}}}", text)
    text = _LOWERED.sub(lambda m: f"_{{{_in_other_digits(m[0], _SUBSCRIPTS)}}}", text)
    text = "".join(map(_plain_character, text.translate(_TABLE)))
    return _ROOT.sub(_root, text)


def _plain_character(c: str) -> str:
    if c.isascii():
        return c
    if "\uff01" <= c <= "\uff5e":  # full-width ASCII
        return chr(ord(c) - 0xFEE0)
    category = unicodedata.category(c)
    if category == "Zs":
        return " "
    if category == "Nd":
        return str(unicodedata.decimal(c))
    if category == "No":  # ½ and its like, and digits in circles, which stay
        above, slash, below = unicodedata.normalize("NFKC", c).partition("⁄")
        return f"\\frac{{{above}}}{{{below}}}" if slash and below else c
    return c
