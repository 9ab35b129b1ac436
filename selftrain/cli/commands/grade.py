"""`selftrain grade`: verdicts on responses in a file, one JSON object per line.

    {"gold": "18", "prediction": "#### 18"}              (with --judge code: {"problem": {...}, "program": "def ..."})
    {"gold": "18", "prediction": "#### 18", "verdict": true, "extracted_answer": "18", "reason": "equal as numbers",
     "seconds": 0.0001}

| input line                                       | output line                                                   |
|--------------------------------------------------|---------------------------------------------------------------|
| an object with the texts `gold` and `prediction` | the same with its verdict: true, false, or null for unjudged  |
| an object where one is missing or not a text     | the same, verdict null, `reason` says what is wrong in line n |
| not a JSON object, or not UTF-8                  | `{"line": n, "input": ...}` with the bytes as text, null      |
| blank                                            | none                                                          |

A `problem` is the row of a task in a layout that `selftrain.problems.code` knows; all its tests count. Every other key
is kept, and available to graders that read columns. No line can stop the rest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from selftrain.cli.command import command
from selftrain.config import Resolved, Sections, config_dataclass, required, setting
from selftrain.errors import DataError, SettingsError

#: Line numbers of unreadable lines that are printed.
_SHOWN = 20


def _grader_names() -> tuple[str, ...]:
    from selftrain.graders import grader_names

    return grader_names()


@config_dataclass
class GradeConfig:
    judge: str = setting("math", "name of the grader", choices=_grader_names)
    input: str = required(
        "JSON lines with the texts `gold` and `prediction`; for code the row of a task as `problem`, and `program`",
        example="answers.jsonl",
    )
    output: str = required("file of the graded lines; must not exist", example="graded.jsonl")
    strictness: Literal["strict", "lenient", "both"] = setting(
        "strict", "math only: which verdict counts; 'both' adds `verdict_lenient` to the strict one"
    )
    json: bool = setting(False, "print the counts as JSON")

    def check(self) -> None:
        if self.judge != "math" and self.strictness != "strict":
            raise SettingsError(
                f"strictness is {self.strictness!r}", f"the grader {self.judge!r} has one verdict only", "leave it out"
            )


def sections() -> Sections:
    from selftrain.graders.code.config import CodeConfig

    return {"grade": GradeConfig, "code": CodeConfig}


@command("grade", "grade responses in a file of JSON lines", "Evaluate", sections)
def run(settings: Resolved) -> int:
    """
    Raises:
        DataError: the input, or every line of it, cannot be read.
        RunError: the output cannot be written.
    """
    from selftrain.cli.grade import grade_file, open_graders
    from selftrain.graders.code.config import CodeConfig

    config = settings[GradeConfig]
    with open_graders(config.judge, config.strictness, settings[CodeConfig]) as graders:
        counts, bad = grade_file(Path(config.input), Path(config.output), graders, code=config.judge == "code")
    total = sum(counts.values())
    if config.json:
        print(json.dumps({"rows": total, **counts, "bad_lines": bad}))
    else:
        _print_counts(counts, bad)
    if bad and total == len(bad):
        keys = "`problem` and `program`" if config.judge == "code" else "the texts `gold` and `prediction`"
        why = f"`reason` in {config.output} says why of each"
        raise DataError(
            f"no line of {config.input} could be read as a row", why, f"a line is a JSON object with {keys}"
        )
    return 0


def _print_counts(counts: Mapping[str, int], bad: Sequence[int]) -> None:
    total = sum(counts.values())
    print(f"{total:,} rows: {counts['true']:,} true, {counts['false']:,} false, {counts['null']:,} without a verdict")
    if bad:
        more = f" and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else ""
        print(f"{len(bad):,} lines could not be read as rows: {', '.join(map(str, bad[:_SHOWN]))}{more}")
