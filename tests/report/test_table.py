import io
import json
import math

from rich.console import Console

from selftrain.report.summary import as_json
from selftrain.report.table import as_plain_text, render_table

from .runs import GAIN, SEVERAL, line


def test_base_and_every_round_with_intervals_and_differences() -> None:
    text = as_plain_text(render_table(GAIN))
    assert "57.3 [54.3, 60.3]" in text
    assert "+11.2, p < 0.001" in text
    assert "+5.0, p = 0.010" in text
    assert text.splitlines()[0].split() == ["greedy", "pass@1", "pass@8", "maj@8"]
    assert [row.split()[0] for row in text.splitlines() if row[:1].strip() and "[" in row][:3] == ["base", "1", "2"]


def test_nothing_is_cut_at_eighty_columns() -> None:
    text = as_plain_text(render_table(GAIN), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "66.2 [63.2, 69.2]" in text


def test_models_have_a_column_when_there_are_several() -> None:
    text = as_plain_text(render_table(SEVERAL), width=120)
    assert text.splitlines()[0].split()[0] == "model"
    assert text.count("qwen") == 3


def test_names_steer_neither_rich_nor_the_terminal() -> None:
    console = Console(
        file=io.StringIO(), width=120, force_terminal=True, color_system="truecolor", legacy_windows=False
    )
    with console.capture() as captured:
        console.print(render_table([line(0, model="[bold red]x\x1b[2J"), line(0, model="y")]))
    assert r"[bold red]x\x1b[2J" in captured.get()


def test_what_was_not_measured_is_a_dash() -> None:
    blind = line(1, 0.1, 0.01)
    del blind["metrics"]["maj@8"]
    assert "–" in as_plain_text(render_table([line(0), blind]))
    assert as_plain_text(render_table([]))


def test_json_is_strict_and_tells_the_verdict() -> None:
    broken = line(1, 0.112, 1e-6)
    broken["learning"]["loss_last"] = math.nan
    told = json.loads(as_json([line(0), broken]))
    assert told["verdict"].startswith("Round 1 beats the base model")
    assert told["models"]["llama"]["outcome"] == "better"
    assert told["rounds"][1]["learning"]["loss_last"] is None
