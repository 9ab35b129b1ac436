r"""The strict rule of the math grader, which training uses: when an answer is the gold answer.

A false "right" is trained on, a false "wrong" only costs a sample. So in doubt an answer is wrong.

| gold                           | answer                                 | verdict                                    |
|--------------------------------|----------------------------------------|--------------------------------------------|
| unreadable, empty, missing     | anything                               | unjudged, never right                      |
| any                            | none stated (see `extract`)            | wrong, "no answer found"                   |
| plain numbers: `39`, `15, 9`   | plain numbers                          | by value (see `plain_numbers`)             |
| plain numbers                  | `7-4`, `\binom{5}{2}`, `2^{10}`, ten   | wrong: a number is asked for, not a sum    |
| words, a letter: `odd`, `(B)`  | anything                               | by text; `B`, `(B)`, `(B) 12` are the same |
| a letter: `B`                  | several: `(B) or (C)`                  | wrong: two options choose nothing          |
| any                            | `7 = 7`, `x = x`                       | wrong: a tautology                         |
| a time or ratio: `12:30`       | anything                               | by text: it is not 2:5                     |
| a formula: `\sqrt{2}`, `(3,4)` | the same text but for spaces           | right                                      |
| a formula                      | a different count of values            | wrong: `5, x` is not x, nor x `\pm x`      |
| a formula, not an equation     | an equation: `2x = y`                  | wrong: unsolved                            |
| a formula                      | in another base: `204_6` for `204_5`   | wrong                                      |
| a formula                      | over 512 characters or 16 brackets,    | wrong, and not compared                    |
|                                | towers of powers, factorials from 100  |                                            |
| a formula                      | any other                              | math-verify, in its worker, within 1 s     |

`lenient` is the other rule; docs/grading.md has both side by side.

A gold may be a worked solution or prose: its answer is then extracted as that of a completion (`gold_answer`).
A formula that math-verify cannot read, or not within its second, is an unreadable gold.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from selftrain.graders.extract import ANOTHER_OPTION, extract_answer, gold_answer
from selftrain.graders.math.math_verify_guard import difference_in_kind, for_math_verify, too_hard
from selftrain.graders.math.normalize_latex import normalize_latex, without_idle_spaces
from selftrain.graders.math.plain_numbers import Number, is_tautology, read_numbers, same_numbers
from selftrain.types import Score

_WORDS = re.compile(r"[^\W\d_]|\(?[A-Z]\)?|(?=.*[^\W\d_]{3})[^\W\d_]+(?:[ ,.'’()-]+[^\W\d_]+)*[.')]?")
_CLOCK = re.compile(r"\d{1,2}:[0-5]\d(?: [ap]\.?m)?")
_OPTION = re.compile(r"\(?([A-Z])(?:\)|[.:](?= )|$)")


class Comparer(Protocol):
    """Compares formulas: `MathWorker`."""

    def why_unreadable(self, gold: str, /) -> str: ...

    def compare(self, gold: str, answer: str, /) -> tuple[bool, str]: ...


class UnreadableGoldError(Exception):
    """The gold answer cannot be read, so no answer can be graded."""


@dataclass(frozen=True)
class Gold:
    """A gold answer: plain numbers, else words, else a formula."""

    text: str
    numbers: tuple[Number, ...] | None
    normalized: str

    @property
    def is_words(self) -> bool:
        return is_words(self.normalized)

    @property
    def is_formula(self) -> bool:
        """Whether math-verify has to read it."""
        return not self.numbers and not self.is_words


def grade_strictly(reference: str | None, text: str, comparer: Comparer) -> Score:
    """The strict verdict on a completion."""
    answer = extract_answer(text)
    try:
        gold = read_gold(reference)
        if gold.is_formula and (why := comparer.why_unreadable(for_math_verify(gold.normalized))):
            raise UnreadableGoldError(f"{_brief(gold.text)}: {why}")
        if answer is None:
            return Score(0.0, None, "no answer found")
        right, why = is_right(gold, answer, comparer)
    except UnreadableGoldError as error:
        return Score(None, answer, f"gold answer cannot be read: {error}")
    except OSError as error:
        return Score(None, answer, f"grader failed: {error}")
    return Score(float(right), answer, why or f"{_brief(answer)} is not {_brief(gold.text)}")


@lru_cache(maxsize=1 << 16)
def read_gold(reference: str | None) -> Gold:
    """Raises UnreadableGoldError if there is no gold, it states no answer, or math-verify must not be given it."""
    if reference is None or not reference.strip():
        raise UnreadableGoldError("there is none")
    text = gold_answer(reference)
    if text is None:
        raise UnreadableGoldError(f"{_brief(reference)} states no answer")
    numbers = read_numbers(text)
    if not numbers and (why := too_hard(text)):
        raise UnreadableGoldError(f"{_brief(text)} {why}")
    return Gold(text, numbers, normalize_latex(text))


def is_right(gold: Gold, answer: str, comparer: Comparer) -> tuple[bool, str]:
    """Whether an answer is the gold answer, and the reason; "" for no reason beyond the two texts."""
    if gold.numbers:
        numbers = read_numbers(answer)
        if not numbers:
            return False, f"{_brief(answer)} is no plain number, {_brief(gold.text)} is"
        right = same_numbers(gold.numbers, numbers)
        return right, "equal as numbers" if right else ""
    if why := too_hard(answer):
        return False, f"not compared: the answer {why}"
    plain = normalize_latex(answer)
    if is_tautology(plain):
        return False, f"{_brief(answer)} is true of anything"
    if gold.is_words:
        right = normalize_words(gold.normalized) == normalize_words(plain)
        return right, "same words" if right else ""
    if without_idle_spaces(gold.normalized) == without_idle_spaces(plain):
        return True, "same text"
    if difference := difference_in_kind(gold.normalized, plain):
        return False, f"{_brief(answer)} is not {_brief(gold.text)}: {difference}"
    return comparer.compare(for_math_verify(gold.normalized), for_math_verify(plain))


def is_words(normalized: str) -> bool:
    """Whether this is words, a letter or a time, which are compared by text."""
    return bool(_WORDS.fullmatch(normalized) or _CLOCK.fullmatch(normalized))


def normalize_words(text: str) -> str:
    """`(B)`, `B)` and `(B) 12` are B. Words are compared without case, single letters with it."""
    choice = _OPTION.match(text)
    if choice and not ANOTHER_OPTION.search(text, choice.end()):
        return choice[1]
    return text if len(text) == 1 else text.replace(".", "").casefold()


def _brief(text: str) -> str:
    text = " ".join(text[:200].split())
    return text if len(text) <= 60 else f"{text[:57]}..."
