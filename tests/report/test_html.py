import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selftrain.report.examples import SolvedExample
from selftrain.report.html import render_page
from selftrain.report.markup import Markup, el, join, markup

from .runs import GAIN, SEVERAL, blind, estimate, line, long_run, real, swept

VOID = {"meta", "br"}
SETTINGS = {"method": {"num_generations": 8, "nested": {"a": [1, None]}}, "model": "Qwen"}
ENVIRONMENT = {"python": "3.11.7", "packages": {"torch": "2.8"}}
EXAMPLE = SolvedExample("How many?", "18", "17", "18", before_right=False, after_right=True)


class Page(HTMLParser):
    """Reads a page as a browser would: which elements and attributes there are, and what text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page(rounds: list = GAIN, settings: Any = SETTINGS, examples: tuple = (EXAMPLE,), title: str = "run") -> Page:
    return Page(render_page(rounds, settings, ENVIRONMENT, examples, title))


def assert_inert(found: Page) -> None:
    """No script, nothing fetched, nothing clickable that leads away, and every element closed."""
    assert found.open == []
    assert not set(found.tags) & {
        "script",
        "iframe",
        "object",
        "embed",
        "link",
        "img",
        "a",
        "form",
        "base",
        "image",
        "use",
    }
    for name, value in found.attributes:
        assert not name.startswith("on"), name
        assert name not in {"href", "src", "srcset", "style", "xlink:href", "action"}, (name, value)


@pytest.mark.parametrize("rounds", [
        [], [line(0)], GAIN, SEVERAL, [line(0), {"round": 1, "model": "llama"}], real("sept"), real("pst"), long_run(),
        blind(real("pst")), swept(real("sept")),
    ])  # fmt: skip
def test_every_kind_of_run_gives_a_whole_inert_page(rounds: list) -> None:
    assert_inert(page(rounds))


def test_the_policy_forbids_everything_but_style() -> None:
    html = render_page(GAIN, {}, {})
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert html.index("Content-Security-Policy") < html.index("<style>")
    assert "://" not in html
    assert "url(" not in html


def test_the_page_tells_the_verdict_the_figures_and_the_answers() -> None:
    text = page().text
    assert "Round 2 beats the base model" in text
    assert "+11.2 points" in text
    assert "57.3 [54.3, 60.3]" in text
    assert "4,190 52.4 %" in text
    assert "812 (81.2 %)" in text
    assert "0.610 → 0.420" in text
    assert "method.nested.a" in text
    assert "newly right" in text


@pytest.mark.parametrize("rounds", [SEVERAL, real("pst"), swept(long_run())])
def test_every_picture_has_a_name(rounds: list) -> None:
    html = render_page(rounds, {}, {})
    for svg in re.findall(r"<svg[^>]*>", html):
        assert "aria-labelledby" in svg or "aria-label" in svg or 'aria-hidden="true"' in svg
    named = re.findall(r'id="([^"]+)"', html)
    assert len(named) == len(set(named))


def test_a_page_of_three_models_tells_what_they_come_to() -> None:
    text = page(real("pst"), {}).text
    assert "Mean of the 3 models, round 3" in text
    assert "majority vote of their solo answers: 95.3 % greedy before" in text
    assert "above the mean of the models by +19.8 points before, +18.9 points after" in text
    assert "smaller by 2.3 points (14 %)" in text
    assert "mean PMI with the last answer" in text
    assert "none of them was called right or wrong" in text


def test_hundreds_of_rounds_stay_a_readable_page() -> None:
    found = page(swept(long_run()), {})
    assert found.tags.count("tr") < 60
    assert "12 of 400 rounds" in found.text and "means of 4 rounds" in found.text
    assert "best-decoded base: pass@1 75.5 [72.5, 78.5] % at T 0.3 and 0.6" in found.text
    assert len(render_page(long_run(), {}, {})) < 200_000


def test_alarms_and_the_answering_model_are_on_the_page() -> None:
    alarmed = line(1, alarms=[{"model": "llama", "severe": True, "reason": "fell <apart>"}])
    text = page([line(0), alarmed], examples=(replace(EXAMPLE, model="qwen2"),)).text
    assert "The watch ended the run after round 1: llama: fell <apart>." in text
    assert "Answered by qwen2" in text


HOSTILE = (
    "</title></style><script>alert(1)</script><img src=x onerror=alert(1)>\" ' onload=x $title ${x}\x1b]0;\u202e\ud800"
)


def hostile_run() -> list[dict[str, Any]]:
    """Records with hostile text in every place that holds text of others."""
    rounds = [line(number, 0.1 * number, 0.001, model=name + HOSTILE) for name in "ab" for number in range(2)]
    for one in rounds:
        one["metrics"][HOSTILE] = estimate(0.5)
        for counts in (one["sampling"]["drop_reason"], one["seconds"]) if one["round"] else ():
            counts[HOSTILE] = 7
    return rounds


def test_hostile_text_stays_text_wherever_it_stands() -> None:
    rounds = hostile_run()
    example = SolvedExample(HOSTILE, HOSTILE, HOSTILE, HOSTILE, True, False)
    found = page(rounds, {HOSTILE: {HOSTILE: HOSTILE}, "x": [HOSTILE]}, (example,), HOSTILE)
    assert_inert(found)
    assert set(found.tags) == set(page(SEVERAL).tags)
    assert found.text.count("<script>alert(1)</script>") > 20
    assert r"$title ${x}\x1b]0;\u202e\ud800" in found.text
    render_page(rounds, {}, {}, (example,)).encode("utf-8")


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(), max_size=40))
def test_no_text_changes_the_page_around_it(text: str) -> None:
    found = page([line(0, model=text)], {text: text}, (SolvedExample(text, text, text, text, True, True),), text)
    assert_inert(found)
    assert set(found.tags) <= set(page(SEVERAL).tags)


def test_markup_escapes_what_it_has_not_made() -> None:
    assert markup("a < b & \x1b") == "a &lt; b &amp; \\x1b"
    assert markup(Markup("<b>")) == "<b>"
    assert (
        el("p", "<", el("b", 1), class_="x", data_y='"', hidden=None) == '<p class="x" data-y="&quot;">&lt;<b>1</b></p>'
    )
    assert join(["<", el("i")]) == "&lt;<i></i>"


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("selftrain.evaluation", "torch transformers pyarrow duckdb scipy rich"),
        ("selftrain.report", "torch transformers pyarrow duckdb scipy rich numpy"),
        ("selftrain.report.html", "torch transformers pyarrow duckdb scipy rich numpy"),
    ],
)
def test_imports_are_light(module: str, never: str) -> None:
    script = f"import sys, {module}; print([m for m in {never.split()} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
