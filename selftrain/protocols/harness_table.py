"""The table that lm-eval prints, to the byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_HEADINGS = ("Tasks", "Version", "Filter", "n-shot", "Metric", "", "Value", "", "Stderr")
_VALUE, _STDERR = 6, 8
#: Columns of numbers, which stand on the right.
_RIGHT = (1, 3, _VALUE, _STDERR)
_NOT_AVAILABLE = "   N/A"


def harness_table(results: Mapping[str, Any]) -> str:
    """In Markdown, from what results_*.json holds: a line a metric and filter, sorted by metric, then filter."""
    rows: list[tuple[str, ...]] = []
    for task, figures in results["results"].items():
        name, version = figures["alias"], f"{results['versions'][task]:g}"
        for key in sorted(key for key in figures if "," in key and "_stderr," not in key):
            metric, _, filtered = key.partition(",")
            value, error = _cell(figures[key]), _cell(figures[f"{metric}_stderr,{filtered}"])
            rows.append((name, version, filtered, str(results["n-shot"][task]), metric, "↑", value, "±", error))
            name = version = ""
    columns = [list(column) for column in zip(*rows, strict=True)]
    right = [column for column in _RIGHT if _NOT_AVAILABLE not in columns[column]]
    for column in (_VALUE, _STDERR):
        if column in right:
            columns[column] = _with_as_many_decimals_as_needed(columns[column])
    return _markdown(columns, right)


def _cell(figure: float | str) -> str:
    return _NOT_AVAILABLE if isinstance(figure, str) else f"{figure:.4f}"


def _with_as_many_decimals_as_needed(numbers: Sequence[str]) -> list[str]:
    """Zeros that end every number of the column are left out."""
    decimals = max(len(number.partition(".")[2].rstrip("0")) for number in numbers)
    return [f"{float(number):.{decimals}f}" for number in numbers]


def _markdown(columns: Sequence[Sequence[str]], right: Sequence[int]) -> str:
    lines: list[list[str]] = [[] for _ in range(2 + len(columns[0]))]
    for place, (heading, column) in enumerate(zip(_HEADINGS, columns, strict=True)):
        width = max(3, *map(len, (heading, *column)))
        rule = "-" * (width - 1) + ":" if place in right else "-" * width
        sign = ">" if place in right else "<"
        for line, text in zip(
            lines, (f"{heading:^{width}}", rule, *(f"{c:{sign}{width}}" for c in column)), strict=True
        ):
            line.append(text)
    return "".join(f"|{'|'.join(line)}|\n" for line in lines)
