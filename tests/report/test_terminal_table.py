import io
import json
import math
from dataclasses import replace

from rich.console import Console

from selftrain.report.summary import as_json
from selftrain.report.terminal_table import as_plain_text, render_table

from .runs import GAIN, SEVERAL, TRAINING, blind, history, long_run, real, record


def test_base_and_every_round_with_intervals_and_differences() -> None:
    text = as_plain_text(render_table(history(GAIN)))
    assert "57.3 [54.3, 60.3]" in text
    assert "+11.2, p < 0.001" in text
    assert "+5.0, p = 0.010" in text
    assert text.splitlines()[0].split() == ["greedy", "pass@1", "pass@8", "maj@8"]
    assert [row.split()[0] for row in text.splitlines() if row[:1].strip() and "[" in row][:3] == ["base", "1", "2"]


def test_nothing_is_cut_at_eighty_columns() -> None:
    text = as_plain_text(render_table(history(GAIN)), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "66.2 [63.2, 69.2]" in text


def test_models_have_a_column_when_there_are_several() -> None:
    text = as_plain_text(render_table(history(SEVERAL)), width=120)
    assert text.splitlines()[0].split()[0] == "model"
    assert text.count("qwen") == 3


def test_names_steer_neither_rich_nor_the_terminal() -> None:
    console = Console(
        file=io.StringIO(), width=120, force_terminal=True, color_system="truecolor", legacy_windows=False
    )
    with console.capture() as captured:
        console.print(render_table(history([record(0, model="[bold red]x\x1b[2J"), record(0, model="y")])))
    assert r"[bold red]x\x1b[2J" in captured.get()


def test_what_was_not_measured_is_a_dash() -> None:
    one = record(1, 0.1, 0.01)
    less = replace(one, metrics={name: value for name, value in one.metrics.items() if name != "maj@8"})
    assert "–" in as_plain_text(render_table(history([record(0), less])))
    assert as_plain_text(render_table(history([])))


def test_json_is_strict_and_tells_the_verdict() -> None:
    broken = record(1, 0.112, 1e-6, training=replace(TRAINING, loss_last=math.nan))
    summary = json.loads(as_json(history([record(0), broken]), best_round=1))
    assert list(summary) == ["best_round", "verdict", "unsafe", "caveats", "models", "rounds"]
    assert summary["verdict"].startswith("Round 1 beats the base model")
    assert summary["models"]["llama"]["outcome"] == "better"
    assert summary["rounds"][1]["training"]["loss_last"] is None


def test_of_many_rounds_few_are_shown_with_the_base_the_best_and_the_last() -> None:
    text = as_plain_text(render_table(history(long_run())))
    rows = [row.split()[0] for row in text.splitlines()[2:] if row[:1].isalnum() and "[" in row and "%" not in row]
    assert rows[0] == "base" and rows[-1] == "400" and len(rows) <= 12
    assert "300 *" in text and text.count(" * ") == 2  # one in the caption


def test_what_models_come_to_together_stands_after_them_without_a_star() -> None:
    text = as_plain_text(render_table(history(real("pst"))), width=120)
    stars = [row.split()[0] for row in text.splitlines() if " 3 * " in row]
    assert stars == ["llama", "qwen2", "gemma2"]
    for name in ("majority vote", "all in turn", "mean of the"):
        assert text.index(name) > text.rindex("gemma2")
    assert "agreement with the consensus" in " ".join(text.split())


def test_without_answers_there_is_a_table_of_what_was_measured() -> None:
    text = as_plain_text(render_table(history(blind(real("sept")))), width=120)
    assert "self-agreement, %" in text and "entropy, nats a token" in text and "no accuracy" in text


def test_json_tells_pass_at_1_beside_greedy() -> None:
    summary = json.loads(as_json(history(real("sept"))))["models"]["llama"]
    assert (summary["round"], summary["outcome"], summary["pass@1"]["outcome"]) == (10, "unclear", "better")
