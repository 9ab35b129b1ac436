"""Values over the rounds as charts: accuracies with intervals, and small panels of other measurements."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol, TypeVar

from selftrain.evaluation.results import Estimate
from selftrain.report.charts import COLOURS, Chart, Point, Series, draw, shape
from selftrain.report.formatting import Value, central, is_share, number, percent, round_name
from selftrain.report.markup import Markup, el


class HasRound(Protocol):
    @property
    def round(self) -> int: ...


R = TypeVar("R", bound=HasRound)
#: Round -> value.
_Curve = Mapping[int, Value]


@dataclass(frozen=True)
class Unit:
    text: Callable[[float], str]
    scale: float
    #: The axis spans at least this much.
    span: float
    #: ... and at least this share of the first value, for values that have no natural size.
    share: float = 0.0
    #: The most that a value can be.
    top: float = math.inf


SHARE = Unit(percent, 100, 0.1, top=1.0)
PLAIN = Unit(lambda value: number(value, ",.3g" if abs(value) < 1000 else ",.0f"), 1, 1e-3, share=0.2)


def unit_of(metric: str) -> Unit:
    return SHARE if is_share(metric) else PLAIN


@dataclass(frozen=True)
class Style:
    unit: Unit
    #: The round to mark.
    ring: int | None = None
    #: Draw the first value as a level to compare the others with.
    level: bool = True
    #: Points that a line has at most; of more rounds it shows means, and says so.
    most: int | None = None


#: For values of every round, of which there may be hundreds.
EVERY_ROUND = Style(PLAIN, level=False, most=100)


def curve(
    id: str,
    title: str,
    records: Mapping[str, Sequence[R]],
    value_of: Callable[[R], Value | None],
    *,
    style: Style,
) -> Chart | None:
    """One line for each of `records` over the rounds that have the value; None where there is nothing to draw."""
    found = {name: _values(of, value_of) for name, of in records.items()}
    longest = max(map(len, found.values()), default=0)
    if style.most is not None and (each := math.ceil(longest / style.most)) > 1:
        found = {name: _means(values, each) for name, values in found.items()}
        title += f" (means of {each} rounds)"
    rounds = sorted({number for values in found.values() for number in values})
    if not rounds:
        return None
    unit = style.unit
    first = abs(next(central(value) for values in found.values() for value in values.values()))
    return Chart(
        id=id,
        title=title,
        describe=f"{title}: {'; '.join(_describe(name, values, unit) for name, values in found.items() if values)}",
        steps=tuple(str(number) if number else "base" for number in rounds),
        series=tuple(Series(name, _points(values, rounds, style.ring)) for name, values in found.items()),
        text=unit.text,
        scale=unit.scale,
        span=max(unit.span, unit.share * first),
        at=tuple(map(float, rounds)),
        top=unit.top,
        level=style.level,
    )


def _values(records: Sequence[R], value_of: Callable[[R], Value | None]) -> _Curve:
    found = ((record.round, value_of(record)) for record in records)
    return {number: value for number, value in found if value is not None and math.isfinite(central(value))}


def _points(values: _Curve, rounds: Sequence[int], ring: int | None) -> tuple[Point, ...]:
    def point(number: int, value: Value) -> Point:
        x, marked = rounds.index(number), number == ring
        if isinstance(value, Estimate):
            return Point(x, value.value, low=value.low, high=value.high, ring=marked)
        return Point(x, value, ring=marked)

    return tuple(point(number, value) for number, value in sorted(values.items()))


def _means(values: _Curve, each: int) -> _Curve:
    """The mean of so many rounds, at the middle one."""
    rounds = sorted(values)
    groups = (rounds[start : start + each] for start in range(0, len(rounds), each))
    return {group[len(group) // 2]: fmean(central(values[number]) for number in group) for group in groups}


def _describe(name: str, values: _Curve, unit: Unit) -> str:
    """All values of a few, else the first, the lowest, the highest and the last."""
    rounds = sorted(values)
    if len(rounds) > 8:
        low, high = (pick(rounds, key=lambda n: central(values[n])) for pick in (min, max))
        rounds = sorted({rounds[0], low, high, rounds[-1]})
    return f"{name}, " + ", ".join(f"{round_name(n)} {unit.text(central(values[n]))}" for n in rounds)


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
