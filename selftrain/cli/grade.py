"""`selftrain grade`: verdicts on answers in a file, one JSON object a line.

    {"gold": "18", "prediction": "#### 18"}              (with --judge code: {"problem": {...}, "program": "def ..."})
    {"gold": "18", "prediction": "#### 18", "verdict": true, "extracted_answer": "18", "reason": "equal as numbers",
     "seconds": 0.0001}

| line                                          | comes out as                                                   |
|-----------------------------------------------|----------------------------------------------------------------|
| an object with the texts `gold`, `prediction` | the same with its verdict: true, false, or null for unjudged   |
| an object where one is missing or no text     | the same, verdict null, `reason` says what is wrong in line n  |
| no JSON object, or no UTF-8                   | `{"line": n, "input": ...}` with the bytes as text, null       |
| blank                                         | not at all                                                     |

A `problem` is the row of a task in a layout that `code_tasks` knows; all its tests count. Every other key stays as it
is, and is at hand to judges that read columns. No line can stop the rest.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from selftrain.cli.sections import GradeConfig
from selftrain.config import Resolved
from selftrain.errors import DataError, RunError, SettingsError
from selftrain.graders import Grader, MathGrader, as_response, grader_names, open_grader
from selftrain.graders.code.config import CodeConfig
from selftrain.types import Problem, Score

Keys = Mapping[str, tuple[type, str]]
_GOLD: Keys = {"gold": (str, "a text"), "prediction": (str, "a text")}
_CODE: Keys = {"problem": (dict, "an object"), "program": (str, "a text")}

#: Rows that are judged at once.
_CHUNK = 256
#: Line numbers of bad lines that are told.
_TOLD = 20


@dataclass(frozen=True)
class Row:
    """A line as it was read; `trouble` says why it cannot be judged."""

    line: int
    fields: dict[str, Any]
    trouble: str = ""
    #: What is judged.
    problem: Problem = Problem("", "")
    text: str = ""


def run(settings: Resolved) -> int:
    """`selftrain grade`.

    Raises:
        SettingsError: no such judge. DataError: the input cannot be read. RunError: the output cannot be written.
    """
    asked = settings[GradeConfig]
    with ExitStack() as stack:
        graders = [stack.enter_context(grader) for grader in _open(asked, settings[CodeConfig])]
        keys = _CODE if asked.judge == "code" else _GOLD
        counts, bad = _grade_file(Path(asked.input), Path(asked.output), graders, keys)
    total = sum(counts.values())
    if asked.json:
        print(json.dumps({"rows": total, **counts, "bad_lines": bad}))
        return 0
    print(f"{total:,} rows: {counts['true']:,} true, {counts['false']:,} false, {counts['null']:,} without a verdict")
    if bad:
        more = f" and {len(bad) - _TOLD:,} more" if len(bad) > _TOLD else ""
        print(f"{len(bad):,} lines could not be read as rows: {', '.join(map(str, bad[:_TOLD]))}{more}")
    return 0


def _open(asked: GradeConfig, code: CodeConfig) -> list[Grader]:
    """The judge whose verdict counts, and the lenient one beside it where both are asked for."""
    if asked.judge not in grader_names():
        raise SettingsError(
            f"judge is {asked.judge!r}", f"Expected one of {', '.join(grader_names())}.", "For example: --judge math"
        )
    if asked.judge != "math":
        if asked.strictness != "strict":
            raise SettingsError(
                f"strictness is {asked.strictness!r}",
                f"The judge {asked.judge!r} has one verdict only.",
                "Leave it out.",
            )
        grader = open_grader(asked.judge, code=code).evaluation_grader()
        if grader.warning:
            print(f"selftrain: {grader.warning}", file=sys.stderr)
        return [grader]
    both: tuple[Any, ...] = ("strict", "lenient") if asked.strictness == "both" else (asked.strictness,)
    return [MathGrader(strictness=strictness) for strictness in both]


def _grade_file(source: Path, target: Path, graders: Sequence[Grader], keys: Keys) -> tuple[Counter[str], list[int]]:
    """Counts of verdicts, and the numbers of lines that are no rows. The output appears whole or not at all."""
    if target.exists():
        raise RunError(f"{str(target)!r} is there already", "it would be written over", "give another --output")
    try:
        lines = source.open("rb")
    except OSError as error:
        raise DataError(f"cannot read {str(source)!r}: {error.strerror}", "", "check --input") from error
    counts, bad = Counter(dict.fromkeys(("true", "false", "null"), 0)), []
    partial = target.with_name(f".{target.name}.partial")
    with lines:
        try:
            with partial.open("wb") as out:
                for row, graded in grade_rows(read_rows(lines, keys), graders):
                    out.write(as_line(graded))
                    counts[json.dumps(graded["verdict"])] += 1
                    bad += [row.line] if row.trouble else []
                out.flush()
                os.fsync(out.fileno())
            partial.replace(target)
        except OSError as error:
            raise RunError(f"cannot write {str(target)!r}: {error.strerror or error}", "", "check --output") from error
        finally:
            partial.unlink(missing_ok=True)
    return counts, bad


def read_rows(lines: Iterable[bytes], keys: Keys = _GOLD) -> Iterator[Row]:
    """Every line that is not blank, readable or not; counted from 1. `keys`: what a row has to have, and its type."""
    for number, line in enumerate(lines, 1):
        line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if line.strip():
            yield _read_row(number, line.rstrip(b"\r\n"), keys)


def _read_row(number: int, line: bytes, keys: Keys) -> Row:
    try:
        value = json.loads(line.decode("utf-8"), parse_constant=_refuse)
    except UnicodeDecodeError as error:
        return _unreadable(number, line, f"byte {error.start + 1} is no UTF-8")
    except RecursionError:
        return _unreadable(number, line, "no JSON that can be read: nested too deep")
    except ValueError as error:
        return _unreadable(number, line, f"no JSON: {error}")
    if not isinstance(value, dict):
        return _unreadable(number, line, "no JSON object")
    for key, (kind, spoken) in keys.items():
        if key not in value:
            return Row(number, value, f"line {number}: has no {key!r}")
        if not isinstance(value[key], kind):
            return Row(number, value, f"line {number}: {key!r} is {json.dumps(value[key])[:60]}, not {spoken}")
    if keys is _CODE:
        return Row(number, value, "", Problem(str(number), "", None, value["problem"]), value["program"])
    return Row(number, value, "", Problem(str(number), "", value["gold"], value), value["prediction"])


def _unreadable(number: int, line: bytes, why: str) -> Row:
    text = line.decode("utf-8", errors="backslashreplace")
    return Row(number, {"line": number, "input": text}, f"line {number}: {why}")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a value of JSON")


def grade_rows(rows: Iterable[Row], graders: Sequence[Grader]) -> Iterator[tuple[Row, dict[str, Any]]]:
    """Each row with what comes out for it, in their order."""
    rows = iter(rows)
    while chunk := list(islice(rows, _CHUNK)):
        sound = [row for row in chunk if not row.trouble]
        columns = [_grade(grader, sound) for grader in graders]
        scores = dict(zip((row.line for row in sound), zip(*columns, strict=True), strict=True))
        for row in chunk:
            yield row, _graded(row, scores.get(row.line) or (Score(None, None, row.trouble),) * len(graders))


def _graded(row: Row, scores: Sequence[Score]) -> dict[str, Any]:
    score, *lenient = scores
    return {
        **row.fields,
        "verdict": _verdict(score),
        **({"verdict_lenient": _verdict(lenient[0])} if lenient else {}),
        "extracted_answer": score.extracted_answer,
        "reason": score.reason,
        "seconds": round(sum(each.seconds for each in scores), 6),
    }


def _verdict(score: Score) -> bool | None:
    return None if score.value is None else score.value > 0


def _grade(grader: Grader, rows: Sequence[Row]) -> list[Score]:
    """A judge's scores. Where it breaks over several rows, each is judged by itself and only the broken ones lose."""
    problems = {str(row.line): row.problem for row in rows}
    try:
        return grader.grade([as_response(row.problem, row.text) for row in rows], problems)
    except Exception as error:
        # Whatever a strange row breaks, it must not cost the others their verdicts.
        if len(rows) == 1:
            return [Score(None, None, f"grader failed: {type(error).__name__}: {str(error)[:200]}")]
        return [score for row in rows for score in _grade(grader, [row])]


def as_line(row: dict[str, Any]) -> bytes:
    """One line of JSON; with escapes where a text holds half characters, which UTF-8 has no bytes for."""
    try:
        return json.dumps(row, ensure_ascii=False).encode("utf-8") + b"\n"
    except UnicodeEncodeError:
        return json.dumps(row).encode("ascii") + b"\n"
