r"""When a typed answer is the typed gold: by type, and by math-verify only where both are formulas.

Different types are different answers, but for: a set or a relation and an interval; a number and a formula, if the gold
is the formula; `204_5` and `204`, `3:4` and `3/4`. Rows and matrices are compared cell by cell, lists entry by entry in
any order. Of two names both must be the same; one may be left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Protocol

from selftrain.graders.math.answers import Entry, Listing, Matrix, Row, Value
from selftrain.graders.math.formulas import Formula, for_math_verify, read_formula
from selftrain.graders.math.literals import Literal, equals_number, same_literals
from selftrain.graders.math.normalize_latex import without_idle_spaces
from selftrain.graders.math.plain_numbers import Number, free_name
from selftrain.graders.math.real_sets import End, Interval, RealSet, read_real_set
from selftrain.graders.math.same_numbers import same_numbers
from selftrain.graders.math.units import Unit

#: Entries of a list that are compared with each other, formulas in every pair.
_MAX_ENTRIES = 24
_EQUATION = re.compile(r"=|\\(?:le|ge|ne)(?![a-z])|[<>]")
_UNKNOWN = re.compile(r"[a-z](?:_\w|_\{\w+\})?'*|\\[a-z]+")
_MATRIX = r"\begin"
_RELATION = re.compile(r"[=<>]|\\(?:le|ge|ne)(?![a-z])")


class Comparer(Protocol):
    """Compares formulas: `MathWorker`."""

    def why_unreadable(self, gold: str, /) -> str: ...

    def compare(self, gold: str, answer: str, /) -> tuple[bool, str]: ...


class Comparison:
    """One comparison: its verdict, and why. `why` is the reason of the last formula compared, or ""."""

    def __init__(self, comparer: Comparer) -> None:
        self._comparer, self.why = comparer, ""

    def same_answers(self, gold: Listing, answer: Listing) -> bool:
        golds, answers = gold.entries, answer.entries
        if len(golds) != len(answers):
            self.why = f"not as many values: {len(answers)} for {len(golds)}"
            return False
        if len(golds) == 1:
            return self._same(golds[0], answers[0])
        if len(golds) > _MAX_ENTRIES:
            return [entry.plain for entry in golds] == [entry.plain for entry in answers]
        names = {entry.name for entry in golds}
        if "" not in names and len(names) == len(golds) and not any(entry.name for entry in answers):
            return all(map(self._same, golds, answers))
        return self._same_in_any_order(golds, answers)

    def has_value(self, number: Number, answer: Listing) -> bool:
        """Whether a formula has the value of a number: `2^{10}` that of 1024."""
        if len(answer.entries) != 1 or _is_equation(answer.entries[0].value):
            return False
        gold, formula = _as_formula(Entry(number, "")), answer.entries[0].value
        return isinstance(formula, Formula) and self._same_formulas(gold, formula)

    def _same_in_any_order(self, golds: Sequence[Entry], answers: Sequence[Entry]) -> bool:
        left = list(answers)
        for gold in golds:
            # The same text first: it costs nothing.
            left.sort(key=lambda entry: entry.plain != gold.plain)
            match = next((entry for entry in left if self._same(gold, entry)), None)
            if match is None:
                return False
            left.remove(match)
        return True

    def _same(self, gold: Entry, answer: Entry) -> bool:
        equations = _is_equation(gold.value), _is_equation(answer.value)
        if isinstance(gold.value, RealSet) or isinstance(answer.value, RealSet):
            return self._same_sets(gold, answer)
        if any(equations):
            # y = 2x + 1 is also 2x - y + 1 = 0, but no answer is an equation that is yet to be solved.
            if not ((equations[0] or gold.name) and (equations[1] or answer.name)):
                self.why = "an equation, not its solution"
                return False
            return self._same_formulas(read_formula(gold.whole), read_formula(answer.whole))
        if gold.name and answer.name and free_name(gold.name) != free_name(answer.name):
            return False
        return self._same_values(gold, answer)

    def _same_values(self, gold: Entry, answer: Entry) -> bool:
        a, b = gold.value, answer.value
        if isinstance(a, Number) and isinstance(b, Number):
            return same_numbers([a], [b])
        if isinstance(a, Literal) and isinstance(b, Literal):
            return same_literals(a, b)
        if isinstance(a, Literal) and isinstance(b, Number) and equals_number(a, b, answer.plain):
            return True
        if isinstance(a, Row) and isinstance(b, Row):
            return a.brackets == b.brackets and self._same_cells(a.cells, b.cells)
        if isinstance(a, Matrix) and isinstance(b, Matrix):
            return (
                a.brackets == b.brackets and len(a.rows) == len(b.rows) and all(map(self._same_cells, a.rows, b.rows))
            )
        if isinstance(a, Matrix) or isinstance(b, Matrix):
            # A product or a sum of matrices.
            both = [
                isinstance(value, Matrix) or (isinstance(value, Formula) and _MATRIX in value.latex) for value in (a, b)
            ]
            return all(both) and self._compare(gold.plain, answer.plain)
        if isinstance(a, Number):
            return False  # a number is asked for, not a sum
        return self._same_formulas(_as_formula(gold), _as_formula(answer))

    def _same_cells(self, golds: Sequence[Entry], answers: Sequence[Entry]) -> bool:
        return len(golds) == len(answers) and all(map(self._same, golds, answers))

    def _same_sets(self, gold: Entry, answer: Entry) -> bool:
        a, b = (
            entry.value if isinstance(entry.value, RealSet) else read_real_set(entry.plain) for entry in (gold, answer)
        )
        if a is None or b is None:
            # A relation that only math-verify can solve, and a set.
            relation = gold if a is None else answer
            return (
                isinstance(relation.value, Formula)
                and bool(_RELATION.search(relation.plain))
                and self._compare(gold.whole, answer.whole)
            )
        if (a.name and b.name and a.name != b.name) or len(a.pieces) != len(b.pieces):
            return False
        left = list(b.pieces)
        for piece in a.pieces:
            match = next((other for other in left if self._same_interval(piece, other)), None)
            if match is None:
                return False
            left.remove(match)
        return True

    def _same_interval(self, a: Interval, b: Interval) -> bool:
        return a[2:] == b[2:] and self._same_end(a.low, b.low) and self._same_end(a.high, b.high)

    def _same_end(self, a: End, b: End) -> bool:
        if not isinstance(a, str) and not isinstance(b, str):
            return a == b
        if isinstance(a, float) or isinstance(b, float):
            return False
        return self._same_formulas(*(read_formula(e) if isinstance(e, str) else _of_number(e) for e in (a, b)))

    def _same_formulas(self, gold: Formula | None, answer: Formula | None) -> bool:
        if gold is None or answer is None or not _units_agree(gold.unit, answer.unit):
            return False
        if without_idle_spaces(gold.latex) == without_idle_spaces(answer.latex):
            self.why = "same text"
            return True
        return self._compare(gold.latex, answer.latex)

    def _compare(self, gold: str, answer: str) -> bool:
        equal, self.why = self._comparer.compare(for_math_verify(gold), for_math_verify(answer))
        return equal


def _is_equation(value: Value) -> bool:
    return isinstance(value, Formula) and bool(_EQUATION.search(value.latex))


def _units_agree(a: Unit | None, b: Unit | None) -> bool:
    return not (a and b) or (a.kind, a.factor) == (b.kind, b.factor)


def _as_formula(entry: Entry) -> Formula | None:
    value = entry.value
    if isinstance(value, Formula):
        return value
    if isinstance(value, Number):
        if value.percent or (value.unit and not value.unit.optional):
            return None
        return _of_number(value.value, value.decimals)._replace(
            unit=None if value.unit and value.unit.named else value.unit
        )
    if isinstance(value, Literal) and value.kind == "words" and _UNKNOWN.fullmatch(entry.plain):
        return Formula(entry.plain, frozenset((entry.plain,)))
    return None


def _of_number(value: int | Fraction, decimals: int = 0) -> Formula:
    value = Fraction(value)
    if decimals > 0:
        digits = f"{abs(value.numerator) * 10**decimals // value.denominator:0{decimals + 1}d}"
        latex = f"{digits[:-decimals]}.{digits[-decimals:]}"
    else:
        latex = str(abs(value.numerator))
        if value.denominator != 1:
            latex = f"\\frac{{{latex}}}{{{value.denominator}}}"
    return Formula(f"-{latex}" if value < 0 else latex, frozenset())
