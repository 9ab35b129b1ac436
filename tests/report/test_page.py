import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selftrain.report.changes import LISTED, NEWLY_RIGHT, NEWLY_WRONG, ChangedProblem, Changes, SolvedExample
from selftrain.report.markup import Markup, el, join, markup
from selftrain.report.page import PageContent, render_page
from selftrain.report.round_record import Alarm, RoundRecord

from .runs import BARE, GAIN, SEVERAL, blind, estimate, history, long_run, real, record, swept

VOID = {"meta", "br"}
SETTINGS = {"method": {"num_generations": 8, "nested": {"a": [1, None]}}, "model": "Qwen"}
ENVIRONMENT = {"python": "3.11.7", "packages": {"torch": "2.8"}}
EXAMPLE = SolvedExample("How many?", "18", "17", "18", before_right=False, after_right=True)


def changes(*examples: SolvedExample, model: str = "llama") -> Changes:
    """118 problems newly right, of which as many are listed as are at most, and 21 newly wrong."""
    first = examples[0]
    one = ChangedProblem(model, first.question, first.reference, first.before, None)
    listed = {NEWLY_RIGHT: [one] * LISTED, NEWLY_WRONG: [one] * 21}
    return Changes(2, {model: {NEWLY_RIGHT: 118, NEWLY_WRONG: 21, "right twice": 418}}, listed, examples, "runs/first")


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


def html(records: Sequence[RoundRecord] = GAIN, **content: Any) -> str:
    return render_page(history(records), PageContent(**content))


def page(records: Sequence[RoundRecord] = GAIN, **content: Any) -> Page:
    shown = {"settings": SETTINGS, "environment": ENVIRONMENT, "changes": changes(EXAMPLE)}
    return Page(html(records, **shown | content))


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
        [], [record(0)], GAIN, SEVERAL, BARE, real("sept"), real("pst"), long_run(),
        blind(real("pst")), swept(real("sept")),
    ])  # fmt: skip
def test_every_kind_of_run_gives_a_whole_inert_page(rounds: list) -> None:
    assert_inert(page(rounds))


def test_the_policy_forbids_everything_but_style() -> None:
    text = html()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert text.index("Content-Security-Policy") < text.index("<style>")
    assert "://" not in text
    assert "url(" not in text


def test_the_page_tells_the_verdict_the_figures_and_the_answers() -> None:
    text = page().text
    assert text.index("Use round 2: +11.2 points") < text.index("Round 2 beats the base model")
    assert "+11.2 points" in text
    assert "57.3 [54.3, 60.3]" in text
    assert "4,190 52.4 %" in text
    assert "812 (81.2 %)" in text
    assert "0.610 → 0.420" in text
    assert "method.nested.a" in text
    assert "newly right" in text


@pytest.mark.parametrize("rounds", [SEVERAL, real("pst"), swept(long_run())])
def test_every_picture_has_a_name(rounds: list) -> None:
    text = html(rounds)
    for svg in re.findall(r"<svg[^>]*>", text):
        assert "aria-labelledby" in svg or "aria-label" in svg or 'aria-hidden="true"' in svg
    named = re.findall(r'id="([^"]+)"', text)
    assert len(named) == len(set(named))


def test_a_page_of_three_models_tells_what_they_come_to() -> None:
    text = page(real("pst"), settings={}).text
    assert "Mean of the 3 models, round 3" in text
    assert "majority vote of their solo answers: 95.3 % greedy before" in text
    assert "above the mean of the models by +19.8 points before, +18.9 points after" in text
    assert "smaller by 2.3 points (14 %)" in text
    assert "mean PMI with the last answer" in text
    assert "none of them was called right or wrong" in text


def test_the_tables_are_whole_on_a_narrow_page_too() -> None:
    """No part of a table is scrolled to; a cell names its column, for a page that has no room for columns."""
    text = html(real("pst"), settings=SETTINGS)
    assert "overflow-x" not in text
    assert text.count("<td") == text.count("<td data-label=")
    widest = max(row.count("<th scope") for row in re.findall(r"<thead>.*?</thead>", html(long_run())))
    assert widest <= 10


def test_all_figures_have_a_row_for_each_metric_and_a_table_for_each_model() -> None:
    text = html(real("pst"))
    figures = text[text.index("All figures") :]
    figures = figures[: figures.index("</section>")]
    assert figures.count("<table") == 6  # three models, two teams, their mean
    head, first = re.findall(r"<tr>.*?</tr>", figures)[:2]
    assert [Page(cell).text for cell in re.findall(r"<th.*?</th>", head)] == ["", "base", "round 3 ★"]
    assert "greedy, %" in first


def test_signals_of_a_collapse_are_folded_while_there_is_none() -> None:
    healthy = html(real("sept"))
    assert re.search(r'<details class="fold"><summary>No collapse reported: \d signals', healthy)
    first, *others, last = real("sept")
    alarmed = replace(last, alarms=(Alarm("llama", severe=False, reason="mean_length fell"),))
    assert '<details class="fold" open=""><summary>The collapse monitor reported' in html([first, *others, alarmed])


def test_changed_problems_are_counted_listed_up_to_a_limit_and_all_a_command_away() -> None:
    text = page().text
    assert "118 newly right" in text and "21 newly wrong" in text and "418 right twice" in text
    assert f"118 newly right, of which the first {LISTED} are here" in text
    query = "select * from changes where round = 2 and change = 'newly wrong'"
    assert f'selftrain samples runs/first "{query}"' in text


def test_tokens_stand_beside_seconds_and_what_is_null_not_among_settings() -> None:
    found = page(evaluated_tokens={0: 9000, 2: 9500}, happened={"sampled_tokens": 523_343, "memory": 2.7e9})
    assert "180 k" in found.text  # 90,000 tokens of two epochs
    assert "18.5 k" in found.text
    assert "523 k tokens were sampled" in found.text and "2.7 GB of memory" in found.text
    assert "num_rounds" not in page(settings={"num_rounds": None, "seed": 3}).text


def test_hundreds_of_rounds_stay_a_readable_page() -> None:
    found = page(swept(long_run()), settings={}, changes=None)
    assert found.tags.count("tr") < 90
    assert "12 of 400 rounds" in found.text and "means of 4 rounds" in found.text
    assert "best-decoded base: pass@1 75.5 [72.5, 78.5] % at T 0.3 and 0.6" in found.text
    assert len(html(long_run())) < 200_000


def test_alarms_and_the_answering_model_are_on_the_page() -> None:
    alarmed = record(1, alarms=(Alarm("llama", severe=True, reason="fell <apart>"),))
    text = page([record(0), alarmed], changes=changes(replace(EXAMPLE, model="qwen2"))).text
    assert "The collapse monitor ended the run after round 1: llama: fell <apart>." in text
    assert "Answered by qwen2" in text


HOSTILE = (
    "</title></style><script>alert(1)</script><img src=x onerror=alert(1)>\" ' onload=x $title ${x}\x1b]0;\u202e\ud800"
)


def hostile_run() -> list[RoundRecord]:
    """Records with hostile text in every place that holds text of others."""
    records = []
    for name in "ab":
        for number in range(2):
            one = record(number, 0.1 * number, 0.001, model=name + HOSTILE)
            one = replace(one, metrics={**one.metrics, HOSTILE: estimate(0.5)})
            if one.sampling is not None:
                sampling = replace(one.sampling, drop_reasons={**one.sampling.drop_reasons, HOSTILE: 7})
                one = replace(one, sampling=sampling, seconds={**one.seconds, HOSTILE: 7})
            records.append(one)
    return records


def test_hostile_text_stays_text_wherever_it_stands() -> None:
    records = hostile_run()
    example = SolvedExample(HOSTILE, HOSTILE, HOSTILE, HOSTILE, True, False)
    found = page(
        records, settings={HOSTILE: {HOSTILE: HOSTILE}, "x": [HOSTILE]}, changes=changes(example), title=HOSTILE
    )
    assert_inert(found)
    assert set(found.tags) == set(page(SEVERAL).tags)
    assert found.text.count("<script>alert(1)</script>") > 20
    assert r"$title ${x}\x1b]0;\u202e\ud800" in found.text
    html(records, changes=changes(example, model=HOSTILE)).encode("utf-8")


@settings(max_examples=30)
@given(st.text(st.characters(), max_size=40))
def test_no_text_changes_the_page_around_it(text: str) -> None:
    example = SolvedExample(text, text, text, text, True, True)
    found = page([record(0, model=text)], settings={text: text}, changes=changes(example), title=text)
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
        ("selftrain.evaluation", "torch transformers pyarrow duckdb scipy rich numpy"),
        ("selftrain.report", "torch transformers pyarrow duckdb scipy rich numpy"),
        ("selftrain.report.page", "torch transformers pyarrow duckdb scipy rich numpy"),
    ],
)
def test_imports_are_light(module: str, never: str) -> None:
    script = f"import sys, {module}; print([m for m in {never.split()} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
