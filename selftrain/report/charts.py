"""Two kinds of SVG chart: lines with error bars, and a stacked bar. Colours and fonts come from the page's style."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from selftrain.report.markup import Markup, el, join

#: Colours the page's style has for lines and for parts of a bar; more than that share the last.
COLOURS = 6
_WIDTH, _HEIGHT = 320, 196
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 8, 22, 26
#: Room beside the first and the last point, for several models side by side.
_MARGIN = 18
#: Points of a line up to which each has a mark; pixels that a step's name needs, and a value above its mark.
_MARKED, _NAME, _VALUE = 30, 26, 36
#: Pixels of a digit, and of a value below its mark.
_LETTER, _BELOW = 7, 17
_ACROSS = _WIDTH - _LEFT - _RIGHT - 2 * _MARGIN


@dataclass(frozen=True)
class Point:
    """One value on a line; `x` is the place of its step. A `ring` marks the point that was chosen."""

    x: int
    y: float
    low: float | None = None
    high: float | None = None
    ring: bool = False


@dataclass(frozen=True)
class Series:
    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Chart:
    """Lines over steps such as rounds. `describe` is the chart in words, for screen readers."""

    id: str
    title: str
    describe: str
    steps: tuple[str, ...]
    series: tuple[Series, ...]
    #: Formats a value; on the axis it is multiplied by `scale` instead.
    text: Callable[[float], str]
    scale: float
    #: The axis spans at least this much, so that noise does not look like a gain.
    span: float
    #: Positions of the steps, such as their round numbers; by default equally spaced.
    at: tuple[float, ...] = ()
    #: The most that a value can be.
    top: float = math.inf
    #: Draw the first value of each line as a level to compare the others with.
    level: bool = True

    @property
    def places(self) -> list[float]:
        """Positions of the steps, from 0 to 1."""
        at = self.at or tuple(map(float, range(len(self.steps))))
        return [(x - at[0]) / ((at[-1] - at[0]) or 1) for x in at]

    @property
    def spacing(self) -> float:
        """Pixels between the two closest steps."""
        return _ACROSS * min((b - a for a, b in pairwise(self.places)), default=1.0)

    @property
    def is_labelled(self) -> bool:
        """Whether each mark has its value beside it."""
        return len(self.series) == 1 and self.spacing >= _VALUE


def draw(chart: Chart) -> Markup:
    """The chart as an `svg` element; an empty one where there is nothing to draw."""
    values = [v for s in chart.series for p in s.points for v in (p.y, p.low, p.high) if v is not None]
    if not values:
        return Markup("")
    grid, places = ticks(min(values), max(values), chart.span, chart.top), chart.places
    high, step = _HEIGHT - _TOP - _BOTTOM, grid[1] - grid[0]
    if chart.is_labelled and high * (min(values) - grid[0]) < _BELOW * (grid[-1] - grid[0]) and grid[0] >= step:
        # Room for the value below the lowest mark, clear of the names of the steps.
        grid = [round(grid[0] - step, 12), *grid]

    def place(x: int, y: float) -> tuple[float, float]:
        share = (y - grid[0]) / (grid[-1] - grid[0])
        return _LEFT + _MARGIN + _ACROSS * places[x], _HEIGHT - _BOTTOM - high * share

    return el(
        "svg",
        el("title", chart.title, id=f"{chart.id}-title"),
        el("desc", chart.describe, id=f"{chart.id}-desc"),
        *(_grid_line(place(0, y)[1], label) for y, label in zip(grid, _labels(grid, chart.scale), strict=True)),
        *_step_names(chart, place),
        *(_line(chart, number, place) for number in range(len(chart.series))),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_labelledby=f"{chart.id}-title {chart.id}-desc",
    )


def ticks(low: float, high: float, span: float, top: float = math.inf) -> list[float]:
    """Round numbers, four to seven of them, from below `low` to above `high`; below 0 or above `top` only where a
    value is.
    """
    middle, span = (low + high) / 2, max(span, high - low)
    above_zero, below_top = low >= 0, high <= top
    low, high = min(low, middle - span / 2), max(high, middle + span / 2)
    if above_zero and low < 0:
        low, high = 0.0, high - low
    elif below_top and high > top:
        low, high = max(0.0, low - (high - top)) if above_zero else low - (high - top), top
    step = _round_step(span / 4)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _round_step(rough: float) -> float:
    """The next of 1, 2, 2.5, 5, 10 and so on."""
    unit = 10.0 ** math.floor(math.log10(rough))
    return next(unit * m for m in (1, 2, 2.5, 5, 10) if unit * m >= rough * (1 - 1e-9))


_Place = Callable[[int, float], tuple[float, float]]


def _n(value: float) -> str:
    return f"{value:.1f}"


def _labels(grid: Sequence[float], scale: float) -> list[str]:
    """All with as many decimals as the longest needs."""
    decimals = max(len(f"{y * scale:g}".partition(".")[2]) for y in grid)
    return [f"{y * scale:.{decimals}f}" for y in grid]


def _grid_line(y: float, label: str) -> Markup:
    line = el("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=_n(y), y2=_n(y), class_="grid")
    return join([line, el("text", label, x=_LEFT - 7, y=_n(y + 3.5), class_="tick end")])


def _step_names(chart: Chart, place: _Place) -> list[Markup]:
    """The names that have room, always the first and the last; of many rounds those with round numbers."""
    found, last = [0], len(chart.steps) - 1
    wanted: Sequence[int] = range(1, last)
    if chart.at and last > 8:
        every = _round_step((chart.at[-1] - chart.at[0]) / 8)
        wanted = [i for i in wanted if math.isclose(chart.at[i] / every, round(chart.at[i] / every))]
    for i in wanted:
        if place(i, 0)[0] - place(found[-1], 0)[0] >= _NAME and place(last, 0)[0] - place(i, 0)[0] >= _NAME:
            found.append(i)
    return [
        el("text", chart.steps[i], x=_n(place(i, 0)[0]), y=_HEIGHT - 8, class_="tick middle")
        for i in ([*found, last] if last > 0 else found)
    ]


def _line(chart: Chart, number: int, place: _Place) -> Markup:
    """One series: its start as a level to compare with, a line, error bars, marks, and the values if there is room."""
    series = chart.series[number]
    marked, spacing = len(series.points) <= _MARKED, chart.spacing
    # Side by side, or the error bars of several models would hide each other.
    shift = (number - (len(chart.series) - 1) / 2) * min(7.0, spacing / (len(chart.series) + 1)) * marked
    spots = [(place(p.x, p.y)[0] + shift, place(p.x, p.y)[1]) for p in series.points]
    level = [el("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=_n(y), y2=_n(y), class_="level") for _, y in spots[:1]]
    marks = []
    for i, p in enumerate(series.points):
        if marked or p.ring:
            top, bottom = (place(0, p.y if end is None else end)[1] for end in (p.high, p.low))
            value = _value(chart.text(p.y), spots, i, (top - 4 * p.ring, bottom + 4 * p.ring))
            mark = _mark(chart, number, p, spots[i][0], y=lambda value: place(0, value)[1])
            marks.append(el("g", *mark, value if chart.is_labelled else ""))
    return el(
        "g",
        *(level if chart.level else []),
        el("polyline", points=" ".join(f"{_n(x)},{_n(y)}" for x, y in spots), class_="path" if marked else "path thin"),
        *marks,
        class_=f"c{min(number, COLOURS - 1)}",
    )


def _value(text: str, spots: Sequence[tuple[float, float]], i: int, ends: tuple[float, float]) -> Markup:
    """A value beside its mark: above, below or to a side, where the line does not run through it.

    Args:
        ends: pixels of the top and the bottom of mark and error bar.
    """
    (x, y), half = spots[i], _LETTER * len(text) / 2
    # Where the line to each neighbour is when it leaves the width of the text.
    sides = [
        y + (there[1] - y) * min(1.0, half / abs(there[0] - x)) if there is not None and there[0] != x else y
        for there in (spots[i - 1] if i else None, spots[i + 1] if i + 1 < len(spots) else None)
    ]
    above = [side < ends[0] - 5 for side in sides]
    below_is_free = all(side <= ends[1] + 6 for side in sides) and ends[1] + _BELOW <= _HEIGHT - _BOTTOM
    if any(above) and below_is_free:
        return el("text", text, x=_n(x), y=_n(ends[1] + _BELOW - 1), class_="value middle")
    if above == [False, True]:
        return el("text", text, x=_n(x + 3), y=_n(ends[0] - 6), class_="value end")
    if above == [True, False]:
        return el("text", text, x=_n(x - 3), y=_n(ends[0] - 6), class_="value")
    return el("text", text, x=_n(x), y=_n(ends[0] - 6), class_="value middle")


def _mark(chart: Chart, number: int, p: Point, x: float, *, y: Callable[[float], float]) -> list[Markup]:
    """
    Args:
        x: of the mark, in pixels.
        y: pixels of a value.
    """
    text, bar = chart.text(p.y), Markup("")
    if p.low is not None and p.high is not None:
        text += f" [{chart.text(p.low)}, {chart.text(p.high)}]"
        top, bottom, left = y(p.high), y(p.low), _n(x - 3.5)
        bar = el("path", d=f"M{_n(x)} {_n(top)}V{_n(bottom)}M{left} {_n(top)}h7M{left} {_n(bottom)}h7", class_="bar")
    return [
        el("title", f"{chart.series[number].name}, {chart.steps[p.x]}: {text}"),
        el("circle", cx=_n(x), cy=_n(y(p.y)), r=13, class_="touch"),
        bar,
        el("circle", cx=_n(x), cy=_n(y(p.y)), r=7.5, class_="ring") if p.ring else Markup(""),
        shape(number, x, y(p.y)),
    ]


def shape(number: int, x: float, y: float) -> Markup:
    """A mark of its own for each series, for readers who cannot tell the colours apart."""
    path = (
        "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
        "M-3.7 -3.7h7.4v7.4h-7.4z",
        "M0 -4.8L4.6 3.6H-4.6z",
        "M0 -5.2L5.2 0L0 5.2L-5.2 0z",
        "M0 4.8L4.6 -3.6H-4.6z",
        "M-1.5 -4.8h3v3.3h3.3v3h-3.3v3.3h-3v-3.3h-3.3v-3h3.3z",
    )[min(number, COLOURS - 1)]
    return el("path", d=path, transform=f"translate({_n(x)} {_n(y)})", class_="mark")


def stacked_bar(parts: Sequence[tuple[str, int]], describe: str) -> Markup:
    """One bar, with parts as wide as their counts. Its widths are in percent, so it fits any page."""
    whole, done, pieces = sum(count for _, count in parts) or 1, 0.0, []
    for number, (name, count) in enumerate(parts):
        width = 100 * count / whole
        pieces.append(
            el(
                "rect",
                el("title", f"{name}: {count:,} ({width:.1f} %)"),
                x=f"{done:.3f}%",
                width=f"{width:.3f}%",
                height="100%",
                class_=f"p{min(number, COLOURS - 1)}",
            )
        )
        done += width
    return el("svg", el("title", describe), join(pieces), class_="cut", role="img", aria_label=describe)
