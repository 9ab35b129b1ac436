"""`selftrain grade`: verdicts on files, good lines and bad."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selftrain.cli.main import run_cli


def graded(here: Path, lines: bytes, *flags: str, code: int = 0) -> list[dict[str, Any]]:
    (here / "in.jsonl").write_bytes(lines)
    (here / "out.jsonl").unlink(missing_ok=True)
    words = ["grade", "--input", "in.jsonl", "--output", "out.jsonl", *flags]
    assert run_cli(words) == code
    return [json.loads(line) for line in (here / "out.jsonl").read_bytes().decode("utf-8").split("\n") if line]


def line(gold: object, prediction: object, **more: object) -> bytes:
    return json.dumps({**more, "gold": gold, "prediction": prediction}).encode() + b"\n"


def test_rows_come_out_as_they_went_in_with_their_verdicts(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = graded(
        here,
        line("18", "So it is 18.0.\n#### 18.0", id=7, tags=["a"])
        + line("18", "#### 20")
        + line("x^2", "\\boxed{x \\cdot x}")
        + line("\\frac{", "#### 5")
        + line("18", "no\nidea"),
    )
    assert [row["verdict"] for row in rows] == [True, False, True, None, False]
    assert [row["extracted_answer"] for row in rows] == ["18.0", "20", "x \\cdot x", "5", None]
    assert list(rows[0]) == ["id", "tags", "gold", "prediction", "verdict", "extracted_answer", "reason", "seconds"]
    assert (rows[0]["id"], rows[0]["tags"], rows[0]["reason"]) == (7, ["a"], "equal as numbers")
    assert rows[3]["reason"].startswith("gold answer cannot be read")
    assert all(0 < row["seconds"] < 2 for row in rows)
    assert capsys.readouterr().out == "5 rows: 2 true, 2 false, 1 without a verdict\n"


def test_what_a_row_says_of_its_prompt_and_its_end_counts(here: Path) -> None:
    rows = graded(
        here,
        line("4", "So 2 + 2 = 4.", prompt="What is 2 + 2?\n<think>\n")
        + line("4", "So 2 + 2 = 4.", prompt="What is 2 + 2?")
        + line("4", "So 2 + 2 = 4.", prompt=[{"role": "user", "content": "What is 2 + 2?"}])
        + line("14", "#### 14", finish_reason="length")
        + line("14", "#### 14", finish_reason="stop"),
    )
    assert [row["verdict"] for row in rows] == [False, True, True, False, True]


BAD = {
    "no JSON": (b"{'gold': 1}", "not JSON: "),
    "cut off": (b'{"gold": "1", "predic', "not JSON: "),
    "no object": (b'["1", "1"]', "not a JSON object"),
    "no UTF-8": (b'{"gold": "1", "prediction": "\xff"}', "byte 30 is not UTF-8"),
    "a NaN": (b'{"gold": NaN, "prediction": "1"}', "NaN is not a value of JSON"),
    "nested without end": (b"[" * 100_000, "nested too deep"),
    "a number beyond reading": (b'{"gold": ' + b"1" * 5000 + b', "prediction": "1"}', "not JSON: "),
    "no gold": (b'{"prediction": "1"}', "has no 'gold'"),
    "no prediction": (b'{"gold": "1"}', "has no 'prediction'"),
    "gold a number": (b'{"gold": 1, "prediction": "1"}', "'gold' is 1, not a text"),
    "gold null": (b'{"gold": null, "prediction": "1"}', "'gold' is null, not a text"),
    "a list of messages": (b'{"gold": "1", "prediction": [{"role": "user"}]}', "'prediction' is [{"),
    "control characters": (b'{"gold": "1", "prediction": "\x00\x1b[31m"}', "not JSON: "),
}


@pytest.mark.parametrize(("bad", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_line_is_kept_without_a_verdict_and_reported_by_its_number(
    here: Path, capsys: pytest.CaptureFixture[str], bad: bytes, reason: str
) -> None:
    rows = graded(here, line("1", "#### 1") + b"\n" + bad + b"\r\n" + line("1", "#### 1"))
    assert [row["verdict"] for row in rows] == [True, None, True]
    assert rows[1]["reason"].startswith("line 3: ") and reason in rows[1]["reason"]
    assert "1 lines could not be read as rows: 3\n" in capsys.readouterr().out
    if "input" in rows[1]:
        assert rows[1]["input"] == bad.decode("utf-8", "backslashreplace")


def test_what_windows_and_half_characters_do_to_a_file(here: Path) -> None:
    rows = graded(here, b"\xef\xbb\xbf" + line("1", "#### 1").replace(b"\n", b"\r\n") + line("1", "\ud800 #### 1")[:-1])
    assert [row["verdict"] for row in rows] == [True, True]
    assert rows[1]["prediction"] == "\ud800 #### 1"


def test_an_empty_file_is_no_mistake(here: Path) -> None:
    assert graded(here, b"\n \n") == []


def test_both_verdicts_and_counts_for_programs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = line("12", "\\boxed{twelve}") + line("12", "\\boxed{12}") + b"?\n"
    rows = graded(here, lines, "--strictness", "both", "--json", "true")
    assert [(row["verdict"], row["verdict_lenient"]) for row in rows] == [(False, True), (True, True), (None, None)]
    counts = json.loads(capsys.readouterr().out)
    assert counts == {"rows": 3, "true": 1, "false": 1, "null": 1, "bad_lines": [3]}
    assert graded(here, lines, "--strictness", "lenient")[0]["verdict"] is True


def test_letters_and_text_have_their_graders(here: Path) -> None:
    (row,) = graded(here, line("B", "The answer is (B) the blue one."), "--judge", "choice")
    assert (row["verdict"], row["extracted_answer"]) == (True, "B")
    (row,) = graded(here, line("B", "The answer is (B) or (C)."), "--judge", "choice")
    assert row["verdict"] is False
    (row,) = graded(here, line("Yes", "So the answer is Yes."), "--judge", "exact")
    assert row["verdict"] is True


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (("--judge", "always_one"), 64, "judge is 'always_one' (flag --judge)\nexpected math|choice|exact"),
        (("--judge", "choice", "--strictness", "both"), 64, "has one verdict"),
        (("--input", "nowhere.jsonl"), 65, "cannot read 'nowhere.jsonl'"),
        (("--output", "in.jsonl"), 74, "'in.jsonl' exists"),
        (("--output", "nowhere/out.jsonl"), 74, "cannot write"),
    ],
)
def test_mistakes_are_reported_and_leave_nothing_behind(
    here: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], code: int, message: str
) -> None:
    (here / "in.jsonl").write_bytes(line("1", "#### 1"))
    given = {"--input": "in.jsonl", "--output": "out.jsonl", **dict(zip(flags[::2], flags[1::2], strict=True))}
    assert run_cli(["grade", *(word for pair in given.items() for word in pair)]) == code
    assert message in capsys.readouterr().err
    assert [path.name for path in here.iterdir()] == ["in.jsonl"]


def test_a_file_without_a_row_is_a_failure(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = graded(here, b'not json\n{"a": 1}\n', code=65)
    assert [row["verdict"] for row in rows] == [None, None]
    out, err = capsys.readouterr()
    assert "2 lines could not be read as rows: 1, 2" in out
    assert "no line of in.jsonl could be read as a row\n`reason` in out.jsonl says why" in err
    graded(here, b"{}\n", "--json", code=65)
    assert json.loads(capsys.readouterr().out)["bad_lines"] == [1]
