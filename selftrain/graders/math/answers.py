r"""What an answer is: the types that gold and answer are read as, and compared by (`compare`).

| type      | for example                                                          |
|-----------|----------------------------------------------------------------------|
| numbers   | `18`, `15, 9`, `5 km`, `2 boys and 3 girls` (see `plain_numbers`)    |
| `Literal` | `(B)`, `3:45 PM`, `10-20`, `March 5`, `CO2`, `no` (see `literals`)   |
| `RealSet` | `x < 2`, `[3, 8)`, `\mathbb{R}` (see `real_sets`)                    |
| `Row`     | `(3, \pi)`, `[1, 2]`: in order                                       |
| `Matrix`  | `\begin{pmatrix} 1 & 2 \end{pmatrix}`                                |
| `Formula` | `\sqrt{2}`, `2x + 1` (see `formulas`)                                |
| `Entry`   | any of these, perhaps with a name: `f(x) = 2x + 1`                   |
| `Listing` | entries: `(1,2), (3,4)`, `\{a, b\}`, `1 \pm \sqrt{2}`, mostly one    |
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from selftrain.graders.math.formulas import Formula, read_formula
from selftrain.graders.math.literals import Literal, read_literal, words
from selftrain.graders.math.plain_numbers import Number, is_name, read_numbers, solved_side
from selftrain.graders.math.real_sets import RealSet, read_real_set


class Row(NamedTuple):
    """Entries in order, between brackets that count: `(1, 2)` is not `[1, 2]`."""

    brackets: str
    cells: tuple[Entry, ...]


class Matrix(NamedTuple):
    """Rows of a matrix, or with `brackets` of a determinant."""

    brackets: str
    rows: tuple[tuple[Entry, ...], ...]


Value = Number | Literal | RealSet | Row | Matrix | Formula


class Entry(NamedTuple):
    """One value, the text that it was read from, the name before its `=`, and the text with that name."""

    value: Value
    plain: str
    name: str = ""
    whole: str = ""


class Listing(NamedTuple):
    """The values that an answer lists, in any order; numbers are read on their own."""

    entries: tuple[Entry, ...]


_SPLIT = re.compile(r"\\[{}]|[()\[\]{},;]|\\begin(?=\{)|\\end(?=\{)|\b(?:and|or)\b|(?<=[)\]])(?:or|and)(?=[(\[])")
_MATRIX = re.compile(
    r"(?P<left>[(\[|]?)\s*\\begin\{(?P<kind>[pbvBV]?(?:small)?matrix|array)\}\s*(?:\{[lcr| ]*\})?"
    r"(?P<rows>(?:(?!\\end).)*)\\end\{(?P=kind)\}\s*[)\]|]?"
)
_PARAMETER = re.compile(
    r",?\s*(?:where |for )?([a-zA-Z])\s*(?:\\in|is an|any)\s*(?:\\mathbb\{Z\}|integer|\\text\{integer\})\s*$"
)
_ORDERED_NAME = re.compile(r"\([a-zA-Z](?:_\w+)?(?:\s*,\s*[a-zA-Z](?:_\w+)?)+\)|[A-Z]")
#: How deep rows lie in rows, at most.
_MAX_DEPTH = 4


@lru_cache(maxsize=1 << 14)
def read_answer(plain: str, products: frozenset[str] = frozenset()) -> Listing:
    """A normalized text that is not plain numbers.

    Args:
        products: see `read_formula`.
    """
    return _read(plain, products, 0)


def _read(plain: str, products: frozenset[str], depth: int) -> Listing:
    if (parameter := _PARAMETER.search(plain)) and parameter.start():
        # The name of a parameter is free: k\pi for all k, n\pi for all n.
        letter = re.compile(rf"(?<![\\a-zA-Z]){parameter[1]}(?![a-zA-Z])")
        plain = letter.sub("k", plain[: parameter.start()]).strip()
    whole = None if read_numbers(plain) else (read_literal(plain) or read_real_set(plain))
    if whole is not None and (isinstance(whole, Literal) or whole.certain):
        return Listing((Entry(whole, plain, "", plain),))
    parts = _split(_without_set_braces(plain)) or [plain]
    entries = tuple(_entry(part, products, depth) for part in parts)
    if len(entries) > 1 and any(map(_is_text, entries)):
        # Words have commas and "and" in them, too: no list.
        return Listing((Entry(words(plain), plain, "", plain),))
    # Told twice is told once.
    return Listing(tuple({entry.whole.replace(" ", ""): entry for entry in entries}.values()))


def _is_text(entry: Entry) -> bool:
    return isinstance(entry.value, Literal) and entry.value.kind == "words" and len(entry.plain) > 1


def _entry(plain: str, products: frozenset[str], depth: int) -> Entry:
    name, equals, value = (part.strip() for part in plain.partition("="))
    if (equals and "=" in value) or r"\approx" in plain:
        value = solved_side(plain) or ""
    is_named = equals and value and (is_name(name) or _ORDERED_NAME.fullmatch(name))
    if not is_named and r"\approx" not in plain and not (equals and "=" in plain.partition("=")[2]):
        value = ""
    return Entry(
        _value(value or plain, products, depth), value or plain, name.replace(" ", "") if is_named else "", plain
    )


def _value(plain: str, products: frozenset[str], depth: int) -> Value:
    numbers = read_numbers(plain)
    if numbers and len(numbers) == 1 and not plain.startswith(r"\{"):
        return numbers[0]
    if literal := read_literal(plain):
        return literal
    real_set = read_real_set(plain)
    if real_set is not None and (real_set.certain or depth):
        return real_set
    if matrix := _matrix(plain, products, depth):
        return matrix
    if row := _row(plain, products, depth):
        return row
    return real_set or read_formula(plain, products) or words(plain)


def _row(plain: str, products: frozenset[str], depth: int) -> Row | None:
    if depth >= _MAX_DEPTH or plain[:1] not in ("(", "[") or plain[-1:] not in (")", "]"):
        return None
    inner = plain[1:-1]
    cells = _split(inner, words_too=False)
    if len(cells) < 2 or not _is_balanced(inner):
        return None
    return Row(plain[0] + plain[-1], tuple(_entry(cell, products, depth + 1) for cell in cells))


def _matrix(plain: str, products: frozenset[str], depth: int) -> Matrix | None:
    match = _MATRIX.fullmatch(plain)
    if match is None or depth >= _MAX_DEPTH:
        return None
    rows = [row for row in re.split(r"\\\\", match["rows"]) if row.replace(r"\hline", "").strip()]
    cells = tuple(
        tuple(_entry(cell.strip() or "0", products, depth + 1) for cell in row.replace(r"\hline", "").split("&"))
        for row in rows
    )
    is_determinant = match["kind"][:1] in "vV" or match["left"] == "|"
    return Matrix("|" if is_determinant else "", cells)


def _is_balanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if depth < 0:
            return False
    return depth == 0


def _without_set_braces(text: str) -> str:
    if text.startswith(r"\{") and text.endswith(r"\}") and text.count(r"\{") == 1:
        return text[2:-2]
    if text.startswith("{") and text.endswith("}") and text.count("{") == 1:
        return text[1:-1]
    return text


def _split(text: str, words_too: bool = True) -> list[str]:
    r"""The values that a text lists at its top level. `a \pm b` is two."""
    values, depth, at = [""], 0, 0
    for match in _SPLIT.finditer(text):
        piece = match[0]
        values[-1] += text[at : match.start()]
        at = match.end()
        depth += (piece in ("(", "[", "{", r"\{", r"\begin")) - (piece in (")", "]", "}", r"\}", r"\end"))
        if depth <= 0 and (piece in (",", ";") or (words_too and piece in ("and", "or"))):
            values.append("")
        else:
            values[-1] += piece
    values[-1] += text[at:]
    return [signed.strip() for value in values if value.strip() for signed in _both_signs(value)]


def _both_signs(value: str) -> list[str]:
    if r"\pm" not in value:
        return [value]
    plus = value.replace(r"\pm", "+").replace(r"\mp", "-").strip()
    minus = value.replace(r"\pm", "-").replace(r"\mp", "+").strip()
    return [re.sub(r"(^|=\s*)\+", r"\1", plus), minus]


def formulas_of(listing: Listing) -> list[Formula]:
    """All formulas in an answer, which math-verify has to read."""
    found: list[Formula] = []
    entries = list(listing.entries)
    while entries:
        value = entries.pop().value
        if isinstance(value, Formula):
            found.append(value)
        elif isinstance(value, Row):
            entries += value.cells
        elif isinstance(value, Matrix):
            entries += [cell for row in value.rows for cell in row]
        elif isinstance(value, RealSet):
            found += [formula for end in value.formulas if (formula := read_formula(end))]
    return found
