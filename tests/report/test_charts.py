from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selftrain.report.charts import Chart, Point, Series, draw, stacked_bar, ticks


@given(st.floats(-1e3, 1e3), st.floats(0, 1e3), st.sampled_from([0.05, 0.1, 1.0]))
def test_ticks_hold_the_values_on_few_round_steps(low: float, width: float, span: float) -> None:
    found = ticks(low, low + width, span)
    assert 3 <= len(found) <= 8
    assert found[0] <= low + 1e-6
    assert found[-1] >= low + width - 1e-6
    assert found[-1] - found[0] >= span - 1e-9


def test_ticks_by_hand() -> None:
    assert ticks(0.43, 0.645, 0.1) == [0.4, 0.5, 0.6, 0.7]
    assert ticks(0.5, 0.5, 0.1) == [0.45, 0.475, 0.5, 0.525, 0.55]


def chart(*series: Series) -> Chart:
    return Chart("c", "greedy", "greedy: base 46 %, round 1 57 %", ("base", "1"), series, lambda y: f"{y:.2f}", 1, 0.1)


def test_a_chart_is_well_formed_and_says_itself() -> None:
    points = (Point(0, 0.46, 0.43, 0.49), Point(1, 0.57, 0.54, 0.6, ring=True))
    svg = ElementTree.fromstring(draw(chart(Series("a < b", points), Series("c", points))))
    assert svg.get("role") == "img"
    assert svg.get("aria-labelledby") == "c-title c-desc"
    assert [child.text for child in svg][:2] == ["greedy", "greedy: base 46 %, round 1 57 %"]
    assert "a < b, 1: 0.57 [0.54, 0.60]" in [title.text for title in svg.iter("title")]
    assert sum(circle.get("class") == "ring" for circle in svg.iter("circle")) == 2


def test_higher_is_drawn_higher() -> None:
    svg = ElementTree.fromstring(draw(chart(Series("a", (Point(0, 0.46), Point(1, 0.57))))))
    (line,) = svg.iter("polyline")
    (x0, y0), (x1, y1) = ([float(v) for v in spot.split(",")] for spot in str(line.get("points")).split())
    assert x0 < x1
    assert y0 > y1


@pytest.mark.parametrize("values", [(0.41, 0.57, 0.5), (0.57, 0.41, 0.43), (0.4, 0.4, 0.4)])
def test_values_are_clear_of_the_line_and_of_the_names_below(values: tuple[float, ...]) -> None:
    points = tuple(Point(place, value) for place, value in enumerate(values))
    svg = ElementTree.fromstring(draw(replace(chart(Series("a", points)), steps=("base", "1", "2"))))
    (line,) = svg.iter("polyline")
    spots = [tuple(float(v) for v in spot.split(",")) for spot in str(line.get("points")).split()]
    texts = [text for text in svg.iter("text") if "value" in str(text.get("class"))]
    names = [float(str(text.get("y"))) for text in svg.iter("text") if text.get("class") == "tick middle"]
    assert len(texts) == 3
    for text in texts:
        at, anchor, across = float(str(text.get("x"))), str(text.get("class")), 7 * len(str(text.text))
        left = at - (across / 2 if "middle" in anchor else across if "end" in anchor else 0)
        bottom = float(str(text.get("y")))
        assert bottom < min(names) - 14
        # The line, every twentieth of the way between two marks.
        for (x0, y0), (x1, y1) in pairwise(spots):
            for part in range(21):
                x, y = x0 + (x1 - x0) * part / 20, y0 + (y1 - y0) * part / 20
                assert not (left < x < left + across and bottom - 8 < y < bottom)


def test_nothing_to_draw() -> None:
    assert draw(chart(Series("a", ()))) == ""


def test_parts_of_a_bar_are_as_wide_as_their_counts() -> None:
    svg = ElementTree.fromstring(stacked_bar([("kept", 3), ("wrong", 1), ("none", 0)], "3 kept, 1 wrong"))
    widths = [float(str(rect.get("width")).rstrip("%")) for rect in svg.iter("rect")]
    assert widths == pytest.approx([75, 25, 0])
    assert svg.get("aria-label") == "3 kept, 1 wrong"
