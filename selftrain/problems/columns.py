"""Which columns hold the question and the answer: detected by their names, or named by the caller.

Some published datasets need more than two names. SimulEq (ALG514), MultiArith, AddSub, SingleEq and MAWPS list their
solutions in `lSolutions`; the reference is every listed value in the order of the data, such as "15, 9". In SimulEq
the list names every unknown of the system, though about a hundred of its 514 questions ask for one of two only (the
first, in the rows looked at): both must be given, so a right answer may be called wrong, but never a wrong one right.
The one-answer copies (`question`/`answer`, LILA's `input`/`output_answer`) keep the first value, and are scored by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from selftrain.errors import DataError, SettingsError
from selftrain.problems.code import LAYOUTS, CodeLayout, find_layout
from selftrain.problems.rows import Table, excerpt, nearest

#: "math" compares values (numbers, formulas, lists without order), "choice" the letter of an option, "exact" the text
#: after "the answer is" without its last full stop, "code" runs the tests of a task.
GraderName = Literal["math", "choice", "exact", "code"]

QUESTIONS = ("question", "problem", "prompt", "messages")
ANSWERS = ("answer", "ground_truth", "reward_model.ground_truth", "final_answer", "final_ans", "solution")
SOLUTIONS = ("solution", "rationale")


def as_text(value: object) -> str:
    """A question that is a text, or the last user message of a chat. Raises ValueError if it is neither."""
    if value is None or isinstance(value, str):
        return (value or "").strip()
    if not isinstance(value, list | tuple):
        raise ValueError(f"the question is a {type(value).__name__}, {excerpt(value)}")
    of_user = [message for message in value if isinstance(message, Mapping) and message.get("role") == "user"]
    if not of_user:
        raise ValueError(f"no message of the user in {excerpt(value)}")
    content = of_user[-1].get("content")
    if isinstance(content, list | tuple):
        content = "\n".join(part["text"] for part in content if isinstance(part, Mapping) and part.get("text"))
    return content.strip() if isinstance(content, str) else ""


def _with_options(question: object, options: object) -> str:
    if not isinstance(options, list | tuple) or not all(isinstance(option, str) for option in options):
        raise ValueError(f"the options are not a list of texts: {excerpt(options)}")
    return "\n".join([as_text(question), "Options:", *options])


def _body_and_question(body: object, question: object) -> str:
    story, ask = as_text(body), as_text(question)
    return f"{story}{'' if story.endswith(('.', '?', '!')) else '.'} {ask}" if story else ask


@dataclass(frozen=True)
class ColumnMapping:
    """ColumnMapping(question=("Body", "Question"), answer="Answer", format_question=_body_and_question)

    A name with a dot leads into a nested column. `format_question` gets the values of the `question` columns, in order.
    """

    question: tuple[str, ...]
    answer: str | None
    solution: str | None = None
    format_question: Callable[..., str] = as_text
    grader: GraderName = "math"


def _of_tasks(layout: CodeLayout) -> ColumnMapping:
    """`read_task` builds the question of a programming task from its whole row."""
    return ColumnMapping((layout.question,), layout.tests, solution=layout.solution, grader="code")


LISTED = ColumnMapping(("sQuestion",), "lSolutions")
CHOICES = ColumnMapping(
    ("question", "options"), "correct", solution="rationale", format_question=_with_options, grader="choice"
)
STORY = ColumnMapping(("Body", "Question"), "Answer", format_question=_body_and_question)
LILA = ColumnMapping(("input",), "output_answer")
BIG_BENCH = ColumnMapping(("input",), "target", grader="exact")
HUMANEVAL, MBPP, MBPP_SANITIZED, APPS = map(_of_tasks, LAYOUTS)

_PUBLISHED = (LISTED, CHOICES, STORY, LILA, BIG_BENCH)


def value_at(columns: Mapping[str, Any], name: str) -> Any:
    """The value of a column, or of a nested one such as `reward_model.ground_truth`; None if there is none."""
    if name in columns:
        return columns[name]
    value: Any = columns
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def detect_columns(
    table: Table,
    question_column: str | None,
    answer_column: str | None,
    *,
    known: ColumnMapping | None,
    require_answers: bool,
) -> ColumnMapping:
    """The mapping of `table`: as known or published, overridden by the columns that the caller names.

    Programming tasks are read as such unless the caller names both columns.

    Raises:
        DataError: no column can be the question, or none the answer though answers are required.
        SettingsError: the caller names one column of a programming task.
    """
    layout = find_layout(table.column_names)
    if layout is not None and (question_column is None or answer_column is None):
        return _task_columns(table, _of_tasks(layout), question_column, answer_column)
    candidates = (known, *_PUBLISHED) if known and known.grader != "code" else _PUBLISHED
    fitting = (mapping for mapping in candidates if _has(table, *mapping.question, str(mapping.answer)))
    mapping = next(fitting, ColumnMapping((), None))
    if question_column is not None or not mapping.question:
        name = find_column("question", table, question_column, QUESTIONS)
        mapping = replace(mapping, question=(name,), format_question=as_text)
    if answer_column is not None or (mapping.answer is None and (require_answers or first_column(table, ANSWERS))):
        mapping = replace(mapping, answer=find_column("answer", table, answer_column, ANSWERS))
    return replace(mapping, solution=mapping.solution or first_column(table, SOLUTIONS))


def _task_columns(
    table: Table, mapping: ColumnMapping, question_column: str | None, answer_column: str | None
) -> ColumnMapping:
    for role, named, own in (
        ("question", question_column, mapping.question[0]),
        ("answer", answer_column, mapping.answer),
    ):
        if named not in (None, own):
            raise SettingsError(
                f"{role}_column is {named!r}, and the rows of {table.name} are programming tasks.",
                f"The question of a task is read from {mapping.question[0]}, its tests from {mapping.answer}.",
                "Name neither column; or both --question_column and --answer_column, to read plain questions.",
            )
    return mapping if first_column(table, (str(mapping.solution),)) else replace(mapping, solution=None)


def find_column(role: str, table: Table, named: str | None, usual: tuple[str, ...]) -> str:
    """The column `named`, or else the first of the usual ones that the table has.

    Raises DataError if there is none; with the columns found, the nearest of them, and the flag that names one.
    """
    found = first_column(table, (named,) if named else usual)
    if found is not None:
        return found
    names = table.column_names
    near = nearest(named, names) if named else next(filter(None, (nearest(name, names) for name in usual)), "")
    raise DataError(
        f"{table.name} has no column for the {role}: looked for {named or ', '.join(usual)}; "
        f"found {', '.join(names) or 'none'}.",
        f"Every row needs a column for its {role}.",
        f"Name it with --{role}_column" + (f", perhaps {near}." if near else "."),
    )


def first_column(table: Table, names: tuple[str, ...]) -> str | None:
    """The first of `names` that the table has, as spelled there; exact spelling goes before capitals."""
    by_lower = {name.lower(): name for name in reversed(table.column_names)}
    exact = next((name for name in names if _has(table, name)), None)
    return exact or next((by_lower[name.lower()] for name in names if name.lower() in by_lower), None)


def _has(table: Table, *names: str) -> bool:
    columns = table.column_names
    return all(
        name in columns or ("." in name and any(value_at(row.columns, name) is not None for row in table.rows))
        for name in names
    )
