"""Dataclasses as strict JSON and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selftrain.errors import RunError
from selftrain.storage.typed_json import from_plain, to_plain


@dataclass(frozen=True)
class Inner:
    value: float
    count: int
    note: str | None


@dataclass(frozen=True)
class Outer:
    name: str
    kind: Literal["a", "b"]
    inner: Inner
    pair: tuple[float, float] = (0.5, 0.5)
    many: Mapping[str, Inner] = field(default_factory=dict)
    optional: Inner | None = None
    flag: bool = False
    share: float = 1.0


inners = st.builds(Inner, st.floats(allow_nan=False, allow_infinity=False), st.integers(), st.none() | st.text())
outers = st.builds(
    Outer, st.text(), st.sampled_from(["a", "b"]), inners, st.tuples(st.floats(0, 1), st.floats(0, 1)),
    st.dictionaries(st.text(), inners, max_size=3), st.none() | inners, st.booleans(), st.floats(0, 1),
)  # fmt: skip


@given(outers)
def test_what_is_written_is_read_back(outer: Outer) -> None:
    text = json.dumps(to_plain(outer), allow_nan=False)
    assert from_plain(Outer, json.loads(text), "x") == outer


def test_empty_defaults_are_left_out_and_all_else_is_there() -> None:
    plain = to_plain(Outer("x", "a", Inner(0.0, 0, None)))
    assert plain == {
        "name": "x", "kind": "a", "inner": {"value": 0.0, "count": 0, "note": None}, "pair": [0.5, 0.5], "share": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_null_and_comes_back_as_nan(value: float) -> None:
    plain = to_plain(Inner(value, 1, "x"))
    assert plain["value"] is None
    assert math.isnan(from_plain(Inner, plain, "x").value)
    assert to_plain({"a": [value, {"b": value}]}) == {"a": [None, {"b": None}]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"more": 1}, "line 3 has the unknown key 'more'"),
        ({"name": None}, "name in line 3 is None, not str"),
        ({"kind": "c"}, "kind in line 3 is 'c', not "),
        ({"inner": {"value": 1.0, "count": 1}}, "inner in line 3 lacks the key 'note'"),
        ({"inner": {"value": 1.0, "count": 1.5, "note": None}}, "count in inner in line 3 is 1.5, not int"),
        ({"inner": 5}, "inner in line 3 is 5, not an object"),
        ({"pair": 5}, "pair in line 3 is 5, not a list"),
        ({"many": {"x": {}}}, "x in many in line 3 lacks the key 'count'"),
        ({"share": "1"}, "share in line 3 is '1', not float"),
        ({"flag": 1}, "flag in line 3 is 1, not bool"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change: dict[str, Any], said: str) -> None:
    plain = to_plain(Outer("x", "a", Inner(0.0, 0, None)))
    with pytest.raises(RunError) as error:
        from_plain(Outer, {**plain, **change}, "line 3")
    assert error.value.found.startswith(said) and "version" in str(error.value)
