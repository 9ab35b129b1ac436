"""Values over the rounds as charts: accuracies with intervals, and small panels of what the watch and training saw."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from selftrain.report.charts import COLOURS, Chart, Point, Series, draw, shape
from selftrain.report.markup import Markup, el
from selftrain.report.records import Line, is_share, number, percent, round_name

#: A value of a line, alone or as an estimate with "value", "low" and "high". None where it was not measured.
Value = Callable[[Line], Any]


def at(*keys: str) -> Value:
    """at("metrics", "greedy") looks that up in a line."""

    def look(line: Line) -> Any:
        found: Any = line
        for key in keys:
            found = (found or {}).get(key)
        return found

    return look


@dataclass(frozen=True)
class Unit:
    say: Callable[[float], str]
    scale: float
    #: The axis spans at least this much.
    span: float
    #: ... and at least this share of the first value, for values that have no natural size.
    share: float = 0.0
    #: The most that a value can be.
    top: float = math.inf


SHARE = Unit(percent, 100, 0.1, top=1.0)
PLAIN = Unit(lambda value: number(value, ",.3g" if abs(value) < 1000 else ",.0f"), 1, 1e-3, share=0.2)
#: Points that a line of values of every round has at most; of more rounds it shows means.
_MOST = 100


def unit_of(metric: str) -> Unit:
    return SHARE if is_share(metric) else PLAIN


def curve(
    id: str,
    title: str,
    lines: Mapping[str, Sequence[Line]],
    value: Value,
    unit: Unit,
    ring: int | None = None,
    level: bool = True,
    smooth: bool = False,
) -> Chart | None:
    """One line for each of `lines` over the rounds that have the value; None where there is nothing to draw.

    Args:
        smooth: of hundreds of rounds show means of several, and say so.
    """
    found = {
        name: {int(line["round"]): one for line in of if (one := _estimate(value(line))) is not None}
        for name, of in lines.items()
    }
    if smooth and (each := math.ceil(max(map(len, found.values()), default=0) / _MOST)) > 1:
        found = {name: _means(values, each) for name, values in found.items()}
        title += f" (means of {each} rounds)"
    numbers = sorted({number for values in found.values() for number in values})
    if not numbers:
        return None
    series = tuple(
        Series(name, tuple(
            Point(numbers.index(n), one["value"], one.get("low"), one.get("high"), ring=n == ring)
            for n, one in sorted(of.items())
        ))
        for name, of in found.items()
    )  # fmt: skip
    first = abs(next(one["value"] for of in found.values() for one in of.values()))
    return Chart(
        id=id,
        title=title,
        describe=f"{title}: {'; '.join(_describe(name, of, unit) for name, of in found.items() if of)}",
        steps=tuple(str(n) if n else "base" for n in numbers),
        series=series,
        say=unit.say,
        scale=unit.scale,
        span=max(unit.span, unit.share * first),
        at=tuple(map(float, numbers)),
        top=unit.top,
        level=level,
    )


def _means(values: Mapping[int, Mapping[str, Any]], each: int) -> dict[int, Mapping[str, Any]]:
    """The mean of so many rounds, at the middle one."""
    numbers = sorted(values)
    groups = (numbers[start : start + each] for start in range(0, len(numbers), each))
    return {group[len(group) // 2]: {"value": fmean(values[n]["value"] for n in group)} for group in groups}


def _estimate(value: Any) -> Mapping[str, Any] | None:
    if value is None or isinstance(value, Mapping):
        return value
    return {"value": float(value)} if abs(float(value)) < float("inf") else None


def _describe(name: str, of: Mapping[int, Mapping[str, Any]], unit: Unit) -> str:
    """All values of a few, else the first, the lowest, the highest and the last."""
    numbers = sorted(of)
    if len(numbers) > 8:
        low, high = (pick(numbers, key=lambda n: of[n]["value"]) for pick in (min, max))
        numbers = sorted({numbers[0], low, high, numbers[-1]})
    return f"{name}, " + ", ".join(f"{round_name(n)} {unit.say(of[n]['value'])}" for n in numbers)


def legend(names: Sequence[str]) -> Markup:
    """Which mark is which model; one model needs none."""
    if len(names) < 2:
        return Markup("")
    marks = (
        el("svg", shape(i, 7, 7), viewBox="0 0 14 14", class_=f"c{min(i, COLOURS - 1)}", aria_hidden="true")
        for i in range(len(names))
    )
    return el("ul", *(el("li", *pair) for pair in zip(marks, names, strict=False)), class_="legend")


def panels(charts: Sequence[Chart | None], size: str = "") -> Markup:
    figures = [el("figure", el("figcaption", chart.title), draw(chart)) for chart in charts if chart is not None]
    return el("div", *figures, class_=f"panels {size}".strip()) if figures else Markup("")
