r"""The rule of the maths judge: when an answer is the gold answer.

A wrong "right" is trained on, a wrong "wrong" only costs a sample. So in doubt an answer is wrong.

| gold                           | answer                                 | verdict                                    |
|--------------------------------|----------------------------------------|--------------------------------------------|
| unreadable, empty, missing     | anything                               | unjudged, never right                      |
| any                            | none stated (see `reading`)            | wrong, "no answer found"                   |
| plain numbers: `39`, `15, 9`   | plain numbers                          | by value (see `plain_numbers`)             |
| plain numbers                  | `7-4`, `\binom{5}{2}`, `2^{10}`, ten   | wrong: a number is asked for, not a sum    |
| words, a letter: `odd`, `(B)`  | anything                               | by text; `B`, `(B)`, `(B) 12` are the same |
| a letter: `B`                  | several: `(B) or (C)`                  | wrong: two options are no choice           |
| any                            | `7 = 7`, `x = x`                       | wrong: it is true of anything              |
| a time or ratio: `12:30`       | anything                               | by text: it is not 2:5                     |
| a formula: `\sqrt{2}`, `(3,4)` | the same text but for spaces           | right                                      |
| a formula                      | a different count of values            | wrong: `5, x` is not x, nor x `\pm x`      |
| a formula, not an equation     | an equation: `2x = y`                  | wrong: it is yet to be solved              |
| a formula                      | in another base: `204_6` for `204_5`   | wrong                                      |
| a formula                      | over 512 letters or 16 brackets deep,  | wrong, and not compared                    |
|                                | powers of powers, factorials of 100 up |                                            |
| a formula                      | any other                              | math-verify, in its worker, within 1 s     |

This is the strict verdict, the one that is trained on; `lenient` has the other. docs/judging.md has both side by side.

A gold may be a whole worked solution: where it has a box or `####`, its answer is read as that of a completion.
A formula that math-verify cannot read, or not within its second, is an unreadable gold.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from selftrain.graders.extract import read_answer
from selftrain.graders.math.math_verify_guard import for_math_verify, trouble, unlike
from selftrain.graders.math.normalize_latex import same_text, tidy
from selftrain.graders.math.plain_numbers import Number, is_tautology, read_numbers, same_numbers
from selftrain.types import Score

_WORDS = re.compile(r"[^\W\d_]|\(?[A-Z]\)?|(?=.*[^\W\d_]{3})[^\W\d_]+(?:[ ,.'’()-]+[^\W\d_]+)*[.')]?")
_CLOCK = re.compile(r"\d{1,2}:[0-5]\d(?: [ap]\.?m)?")
_CHOICE = re.compile(r"\(?([A-Z])(?:\)|[.:](?= )|$)")
_ANOTHER_CHOICE = re.compile(r"(?<![\w(])\(?[A-Z]\)")


class Comparer(Protocol):
    """What `math_worker.MathWorker` does."""

    def gold_trouble(self, gold: str, /) -> str: ...

    def compare(self, gold: str, answer: str, /) -> tuple[bool, str]: ...


class UnreadableGoldError(Exception):
    """The gold answer cannot be read, so nothing can be said of any answer."""


@dataclass(frozen=True)
class Gold:
    """A gold answer: plain numbers, or else words, or else a formula that math-verify has to read."""

    text: str
    numbers: tuple[Number, ...] | None
    tidy: str

    @property
    def is_words(self) -> bool:
        return is_words(self.tidy)

    @property
    def is_formula(self) -> bool:
        """Whether math-verify has to read it."""
        return not self.numbers and not self.is_words


def grade_text(gold: str | None, text: str, comparer: Comparer) -> Score:
    """The verdict on a completion."""
    answer = read_answer(text)
    try:
        of = read_gold(gold)
        if of.is_formula:
            _check_formula(of, comparer)
        if answer is None:
            return Score(0.0, None, "no answer found")
        right, why = is_right(of, answer, comparer)
    except UnreadableGoldError as error:
        return Score(None, answer, f"gold answer cannot be read: {error}")
    except OSError as error:
        return Score(None, answer, f"judge failed: {error}")
    return Score(float(right), answer, why or f"{_brief(answer)} is not {_brief(of.text)}")


@lru_cache(maxsize=1 << 16)
def read_gold(gold: str | None) -> Gold:
    """
    Raises:
        UnreadableGoldError: there is none, it states no answer, or nothing should be asked to read it.
    """
    if gold is None or not gold.strip():
        raise UnreadableGoldError("there is none")
    text: str | None = gold.strip()
    if any(marker in gold for marker in ("####", r"\boxed", r"\fbox")):
        text = read_answer(gold)
        if text is None:
            raise UnreadableGoldError(f"{_brief(gold)} states no answer")
    assert text
    numbers = read_numbers(text)
    if not numbers and (why := trouble(text)):
        raise UnreadableGoldError(f"{_brief(text)} {why}")
    return Gold(text, numbers, tidy(text))


def _check_formula(gold: Gold, comparer: Comparer) -> None:
    if why := comparer.gold_trouble(for_math_verify(gold.tidy)):
        raise UnreadableGoldError(f"{_brief(gold.text)}: {why}")


def is_right(gold: Gold, answer: str, comparer: Comparer) -> tuple[bool, str]:
    """Whether an answer is the gold answer, and why; "" where there is no more to say."""
    if gold.numbers:
        numbers = read_numbers(answer)
        if not numbers:
            return False, f"{_brief(answer)} is no plain number, {_brief(gold.text)} is"
        right = same_numbers(gold.numbers, numbers)
        return right, "equal as numbers" if right else ""
    if why := trouble(answer):
        return False, f"not compared: the answer {why}"
    plain = tidy(answer)
    if is_tautology(plain):
        return False, f"{_brief(answer)} is true of anything"
    if gold.is_words:
        right = normal_words(gold.tidy) == normal_words(plain)
        return right, "same words" if right else ""
    if same_text(gold.tidy, plain):
        return True, "same text"
    if difference := unlike(gold.tidy, plain):
        return False, f"{_brief(answer)} is not {_brief(gold.text)}: {difference}"
    return comparer.compare(for_math_verify(gold.tidy), for_math_verify(plain))


def is_words(tidied: str) -> bool:
    """Words, a letter or a time: compared by text."""
    return bool(_WORDS.fullmatch(tidied) or _CLOCK.fullmatch(tidied))


def normal_words(text: str) -> str:
    """`(B)`, `B)` and `(B) 12` are B. Words are compared without case, single letters with it."""
    choice = _CHOICE.match(text)
    if choice and not _ANOTHER_CHOICE.search(text, choice.end()):
        return choice[1]
    return text if len(text) == 1 else text.replace(".", "").casefold()


def _brief(text: str) -> str:
    text = " ".join(text[:200].split())
    return text if len(text) <= 60 else f"{text[:57]}..."
