"""One table of rules for Python, files and flags."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from selftrain.config.fields import setting, settings_of
from selftrain.config.given import Plain
from selftrain.config.values import convert, item_type, spell
from selftrain.errors import SettingsError
from tests.config.example import Grow, Run

Choice = Literal["base", "latest", 3]


@pytest.mark.parametrize(
    ("text", "hint", "value"),
    [
        ("8", int, 8),
        ("-8", int, -8),
        ("8.0", int, 8),
        ("1e3", int, 1000),
        ("1e-5", float, 1e-5),
        ("8", float, 8.0),
        ("True", bool, True),
        ("false", bool, False),
        ("007", str, "007"),
        ("null", str, "null"),
        ("none", str | None, None),
        ("~", int | None, None),
        ("3", int | None, 3),
        ("base", Choice, "base"),
        ("3", Choice, 3),
        ("auto", int | Literal["auto"] | None, "auto"),
        ("runs/a", Path, Path("runs/a")),
        ("a", tuple[str, ...], ("a",)),
        ("null", tuple[str, ...] | None, None),
    ],
)
def test_plain_text_is_read_by_the_type_of_its_setting(text: str, hint: Any, value: object) -> None:
    found = convert(Plain(text), hint)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("8.5", int),
        ("many", int),
        ("", int),
        ("inf", int),
        ("nan", float),
        ("inf", float),
        ("1e999", float),
        ("yes", bool),
        ("1", bool),
        ("null", int),
        ("newest", Choice),
        ("~nobody-here/runs", Path),
    ],
)
def test_plain_text_that_does_not_fit_is_refused(text: str, hint: Any) -> None:
    with pytest.raises(ValueError):
        convert(Plain(text), hint)


@pytest.mark.parametrize(
    ("value", "hint"), [("8", int), (True, int), (True, float), (1, bool), (8, str), (None, str), (True, Literal[1])]
)
def test_python_values_and_quoted_text_keep_their_type(value: object, hint: Any) -> None:
    with pytest.raises(ValueError):
        convert(value, hint)


def test_lists_hold_items_of_one_type() -> None:
    assert convert([Plain("1"), Plain("8")], tuple[int, ...]) == (1, 8)
    assert convert(("a",), list[str]) == ["a"]
    with pytest.raises(ValueError):
        convert([Plain("1"), Plain("x")], tuple[int, ...])


def test_a_path_may_start_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert convert(Plain("~/runs"), Path) == Path("/somewhere/runs")


def test_types_are_spelt_for_people() -> None:
    hints = [int | None, bool, Choice, tuple[str, ...], tuple[int, ...] | None, Path]
    assert [spell(hint) for hint in hints] == [
        "int|null",
        "true|false",
        "base|latest|3",
        "list of str",
        "list of int|null",
        "path",
    ]
    assert item_type(tuple[int, ...] | None) is int
    assert item_type(str) is None


def test_a_type_without_a_rule_is_a_bug_of_ours() -> None:
    with pytest.raises(TypeError, match="cannot be the type of a setting"):
        convert(Plain("1"), complex)


def test_python_callers_obey_the_same_rules() -> None:
    with pytest.raises(SettingsError, match=r"num_generations is '8' \(Grow\)\nexpected int\nthe default is 32 "):
        Grow(num_generations="8")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="temperature is nan"):
        Grow(temperature=float("nan"))
    with pytest.raises(SettingsError, match="learning_rate is 1000"):
        Run(learning_rate=10**400)


def test_what_fits_is_brought_into_form() -> None:
    assert Run(output_dir="runs/a").output_dir == Path("runs/a")  # type: ignore[arg-type]
    assert Grow(eval_k=[1, 2]).eval_k == (1, 2)  # type: ignore[arg-type]
    assert type(Run(learning_rate=1).learning_rate) is float


def test_a_setting_knows_its_help_and_source() -> None:
    first = settings_of(Grow)[0]
    assert (first.name, first.type, first.default) == ("num_generations", int, 32)
    assert first.describe() == "answers drawn for each problem. Default: 32 (ReST-EM, section 4: n = 32)"


def test_a_list_default_is_not_shared() -> None:
    assert Grow().report_to is not Grow().report_to
    assert setting(3, "an ordinary field").default == 3  # type: ignore[attr-defined]
