import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selftrain.report.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]52;c;cm0=\x07", r"\x1b]52;c;cm0=\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("a\rb\x00\x7f", r"a\rb\x00\x7f"),
        ("\u202egnp.exe\u2066", r"\u202egnp.exe\u2066"),
        ("a\u200bb\u200d\u2060\ufeff\u00ad", r"a\u200bb\u200d\u2060\ufeff\xad"),
        ("line\u2028end\u2029", r"line\u2028end\u2029"),
        ("\U000e0041\U000e0100\u3164", r"\U000e0041\U000e0100\u3164"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_acts_unseen_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    "text",
    ["plain", "two\nlines\tand a tab", r"\frac{1}{2}", "naïve 東京 \u3000 ٣ + ٤", "1\u00a0000", "❤\ufe0f 🙂", ""],
)
def test_what_is_seen_stays(text: str) -> None:
    assert visible(text) == text


@given(st.text(st.characters()))
def test_nothing_unseen_is_left_and_once_is_enough(text: str) -> None:
    shown = visible(text)
    assert all(c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in shown)
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert visible(shown) == shown
