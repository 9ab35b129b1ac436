"""A run's answers browsed: the queries, and the program by textual's own pilot."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selftrain.cli.commands import samples
from selftrain.cli.main import run_cli
from selftrain.errors import RunError
from selftrain.report.browsing import Browsing, Choice
from selftrain.storage import RunFolder
from selftrain.storage.rows import problem_schema, sample_schema

needs_textual = pytest.mark.skipif(importlib.util.find_spec("textual") is None, reason="textual is not installed")
HOSTILE = "[bold red]Where?[/] \x1b]0;owned\x07 \u202e [@click=app.quit]x[/]"


def row(problem_id: str, text: str, reward: float | None, **more: Any) -> dict[str, Any]:
    question = HOSTILE if problem_id == "e/1" else f"What is {problem_id}?"
    return {
        "model": "llama", "round": 0, "problem_id": problem_id, "sample_index": 0, "greedy": True, "question": question,
        "reference": "4", "prompt": question, "completion": text, "reward": reward, "extracted_answer": text[-1:],
    } | more  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two evaluation problems before and after a round, and one conversation of three models, without verdicts."""
    talk = [
        row(
            "t/1", f"{model} says {place}", None, model=model, round=1, greedy=False, kept=place < 3, weight=0.5,
            drop_reason=None if place < 3 else "spoke last", prompt="x" * place,
        )
        for place, model in ((2, "llama"), (1, "qwen"), (3, "gemma"))
    ]  # fmt: skip
    evaluations = {
        0: [row("e/1", "first 3", 0.0), row("e/2", "first 4", 1.0)],
        1: [row("e/1", HOSTILE, 1.0, round=1), row("e/2", "then 5", 0.0, round=1)],
    }
    tables: Mapping[str, list[dict[str, Any]]] = {
        "samples/round-0001.parquet": talk,
        **{f"evaluations/round-{number:04d}.parquet": rows for number, rows in evaluations.items()},
    }
    for name, rows in tables.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=sample_schema()), tmp_path / name)
    problems = [{"part": "evaluation", "problem_id": i, "question": q, "reference": "4"} for i, q in
                (("e/1", HOSTILE), ("e/2", "What is e/2?"))]  # fmt: skip
    problems.append({"part": "train", "problem_id": "t/1", "question": "What is t/1?", "reference": None})
    pq.write_table(pa.Table.from_pylist(problems, schema=problem_schema()), tmp_path / "problems.parquet")
    (tmp_path / "settings.yaml").write_text("seed: 1\n")
    return tmp_path


@pytest.fixture
def browsing(folder: Path) -> Browsing:
    return Browsing(RunFolder.open(folder))


def found(browsing: Browsing, view: str, **choice: Any) -> list[str]:
    return list(browsing.page(view, Choice(**choice)).problems)


def test_rows_are_filtered_and_searched(browsing: Browsing) -> None:
    assert browsing.views() == ["changes", "samples", "evaluations", "problems"]
    assert browsing.choices("changes") == ([1], ["llama"], ["newly right", "newly wrong"])
    assert found(browsing, "changes", state="newly wrong") == ["e/2"]
    assert found(browsing, "evaluations", round=0, state="wrong") == ["e/1"]
    assert len(found(browsing, "samples")) == 3 and len(found(browsing, "samples", model="qwen")) == 1
    assert found(browsing, "evaluations", search="THEN 5") == ["e/2"]
    assert found(browsing, "problems", search="t/1") == ["t/1"]
    assert found(browsing, "problems", search="' or true --") == []
    assert found(browsing, "problems", state="it's") == []


def test_a_problem_is_followed_over_the_rounds(browsing: Browsing) -> None:
    history = browsing.history("e/2")
    assert (history.question, history.reference, history.part) == ("What is e/2?", "4", "evaluation")
    assert [(one.when, one.state, one.text) for one in history.answers] == [
        ("base model, greedy", "right", "first 4"), ("round 1, greedy", "wrong", "then 5"),
    ]  # fmt: skip


def test_a_conversation_is_in_the_order_of_its_turns(browsing: Browsing) -> None:
    answers = browsing.history("t/1").answers
    assert [(one.turn, one.model, one.state) for one in answers] == [
        (1, "qwen", "kept"), (2, "llama", "kept"), (3, "gemma", "spoke last"),
    ]  # fmt: skip
    assert {one.when for one in answers} == {"round 1, conversation 1"}


def drive(browsing: Browsing, steps: Callable[[Any, Any], Awaitable[None]]) -> Any:
    from selftrain.cli.browse import Browser

    async def main() -> Any:
        app = Browser(browsing)
        async with app.run_test(size=(100, 30)) as pilot:
            await pilot.pause()
            await steps(app, pilot)
        return app.return_value

    return asyncio.run(main())


def shown(app: Any, name: str) -> str:
    return str(app.screen.query_one(name).content)


def cells(app: Any) -> list[list[str]]:
    table = app.screen.query_one("DataTable")
    return [[cell.plain for cell in table.get_row_at(place)] for place in range(table.row_count)]


@needs_textual
def test_the_program_lists_filters_searches_and_shows_a_history(browsing: Browsing) -> None:
    async def steps(app: Any, pilot: Any) -> None:
        assert [line[0] for line in cells(app)] == ["newly right", "newly wrong"]
        await pilot.press("slash", *"e/2", "enter")
        assert [line[0] for line in cells(app)] == ["newly wrong"] and "1 to 1 of 1" in shown(app, "#told")
        assert "then 5" in shown(app, "#text")
        await pilot.press("enter")
        await pilot.pause()
        assert "round 1, greedy\nllama: wrong\nthen 5" in shown(app, "#history")
        await pilot.press("slash", "escape", "slash", *["backspace"] * 3, "enter")
        app.query_one("#view").value = "samples"
        await pilot.pause()
        app.query_one("#state").value = "spoke last"
        await pilot.pause()
        assert [line[2] for line in cells(app)] == ["gemma"]
        await pilot.press("h")
        await pilot.pause()
        text = shown(app, "#history")
        assert text.index("turn 1, qwen") < text.index("turn 2, llama") < text.index("turn 3, gemma: spoke last")
        await pilot.press("q")

    assert drive(browsing, steps) is None


@needs_textual
def test_hostile_text_stays_text(browsing: Browsing) -> None:
    told = r"[bold red]Where?[/] \x1b]0;owned\x07 \u202e [@click=app.quit]x[/]"

    async def steps(app: Any, pilot: Any) -> None:
        assert cells(app)[0][-1].startswith("[bold red]Where?")
        assert told in shown(app, "#text")
        await pilot.press("enter")
        await pilot.pause()
        assert shown(app, "#history").count(told) == 2
        picture = app.export_screenshot()
        assert "\x1b" not in picture and "owned" in picture

    drive(browsing, steps)


@needs_textual
def test_a_damaged_file_ends_the_program_with_its_name(browsing: Browsing, folder: Path) -> None:
    async def steps(app: Any, pilot: Any) -> None:
        (folder / "samples" / "round-0001.parquet").write_bytes(b"PAR1 no more")
        app.query_one("#view").value = "samples"
        await pilot.pause()

    error = drive(browsing, steps)
    assert isinstance(error, RunError) and "round-0001.parquet" in str(error)


def test_what_browsing_needs_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "find_spec", lambda name: None)
    assert run_cli(["samples", str(folder), "--browse"]) != 0
    assert "pip install 'selftrain[browse]'" in capsys.readouterr().err
    monkeypatch.setattr(samples, "find_spec", lambda name: True)
    assert run_cli(["samples", str(folder), "--browse"]) != 0
    assert "needs a terminal" in capsys.readouterr().err
