"""Rows and the shape they have to problems: every row is checked, and all faults are told at once."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from selftrain.errors import DataError
from selftrain.problems.answers import Style, read_answer, style_of
from selftrain.problems.code import NoTestsError
from selftrain.problems.code.from_row import read_code, without_set
from selftrain.problems.overlap import question_key
from selftrain.problems.problem_set import ProblemSet
from selftrain.problems.rows import Row, Table, excerpt, refuse
from selftrain.problems.shapes import Shape, column_for, first_column, value_at
from selftrain.types import Problem

_IDS = ("id", "unique_id")
_IDS_OF_TASKS = ("task_id", "problem_id", *_IDS)

#: The `id_column` that says: number the rows, whatever columns there are.
_POSITION = "position"

#: A reference of more characters is hardly an answer.
_LONG = 200

_UNWRITABLE = re.compile("[\0\ud800-\udfff]")

_STYLE_IN_WORDS: Mapping[Style, str] = {
    "plain": "as it stands, numbers plainly spelled, lists joined by commas",
    "verbatim": "as it is written",
    "hashes": "what follows the last ####, without separators",
    "box": "what the last \\boxed{} holds",
}


def build(table: Table, shape: Shape, id_column: str | None, require_answers: bool) -> ProblemSet:
    """The problems of `table`, in its order; it has one row at least. Tasks without tests are left out, and counted.

    Raises DataError with the first faulty rows: empty question, missing or unreadable answer, empty or repeated id,
    characters that no model can be shown; and where no task has a test.
    """
    usual = _IDS_OF_TASKS if shape.grader == "code" else _IDS
    ids = None if id_column == _POSITION else id_column or first_column(table, usual)
    if ids is not None:
        ids = column_for("id", table, ids, usual)
    answers = (value_at(row.columns, shape.answer) for row in table.rows if shape.answer)
    style: Style = "verbatim" if shape.grader in ("exact", "code") else style_of(answers)
    problems, untested = _problems(table, shape, style, ids, require_answers)
    if not problems:
        raise DataError(
            f"None of the {untested} problems of {table.name} has a test.",
            "Whether a program is right cannot be told without.",
            f"Take data that has tests in its column {shape.answer}.",
        )
    chat = isinstance(value_at(table.rows[0].columns, shape.question[0]), list | tuple)
    left_out = counted((untested, "problem has no tests and is left out", "problems have no tests and are left out"))
    return ProblemSet(table.name, problems, shape.grader, _mapping(shape, style, ids, chat), left_out)


def _problems(
    table: Table, shape: Shape, style: Style, ids: str | None, require_answers: bool
) -> tuple[tuple[Problem, ...], int]:
    """The problems, and how many rows are tasks without tests."""
    problems: list[Problem] = []
    complaints: list[str] = []
    untested = 0
    first_with: dict[str, str] = {}
    for row in table.rows:
        try:
            problem = _problem(row, table.name, shape, style, ids)
            if problem.reference is None and require_answers:
                raise ValueError(f"the answer is missing (column {shape.answer})")
            if problem.id in first_with:
                raise ValueError(f"the id {excerpt(problem.id)} belongs to {first_with[problem.id]} already")
        except NoTestsError:
            untested += 1
        except ValueError as fault:
            complaints.append(f"{row.where}: {fault}")
        else:
            problems.append(problem)
            first_with[problem.id] = row.where
    refuse(
        complaints,
        len(table.rows),
        "Mend or remove these rows, or name other columns (--question_column, --answer_column, --id_column; "
        f"--id_column {_POSITION} numbers the rows). Methods that need no labels can read rows without an answer.",
    )
    return tuple(problems), untested


def _problem(row: Row, name: str, shape: Shape, style: Style, ids: str | None) -> Problem:
    """Raises ValueError, saying what is wrong with the row."""
    is_task = shape.grader == "code"
    question, reference, solution = read_code(row.columns) if is_task else _read(row.columns, shape, style)
    key = without_set(_key(row, ids), name) if is_task else _key(row, ids)
    problem = Problem(f"{name}/{key}", question, reference, row.columns, solution)
    for text in (problem.id, problem.question, problem.reference, problem.solution):
        if text and (bad := _UNWRITABLE.search(text)):
            raise ValueError(f"the character {bad[0]!a} in {excerpt(text)} cannot be shown to a model")
    return problem


def _key(row: Row, ids: str | None) -> str:
    if ids is None:
        return row.key
    given = value_at(row.columns, ids)
    key = "" if given is None else str(given).strip()
    if not key:
        raise ValueError(f"the id is empty (column {ids})")
    return key


def _read(columns: Mapping[str, Any], shape: Shape, style: Style) -> tuple[str, str | None, str | None]:
    """(question, reference, solution) of a row that has a question and its answer."""
    question = shape.ask(*(value_at(columns, column) for column in shape.question))
    if not question:
        raise ValueError(f"the question is empty (column {', '.join(shape.question)})")
    answer = None if shape.answer is None else value_at(columns, shape.answer)
    worked = answer if style in ("hashes", "box") else None
    solution = value_at(columns, shape.solution) if shape.solution and shape.solution != shape.answer else worked
    if isinstance(solution, list | tuple):
        solution = "\n".join(str(part) for part in solution)
    return question, read_answer(answer, style), None if solution is None else str(solution)


def _mapping(shape: Shape, style: Style, ids: str | None, chat: bool) -> tuple[str, ...]:
    if shape.grader == "code":
        lines = [f"question <- {shape.question[0]} (as a programming task)"]
        lines += [f"reference <- {shape.answer} (all tests)"]
        lines += [f"solution <- {shape.solution}"] if shape.solution else []
        return (*lines, f"id <- {ids or 'position'}")
    lines = [f"question <- {' and '.join(shape.question)}{' (the last message of the user)' if chat else ''}"]
    lines.append(f"reference <- {shape.answer} ({_STYLE_IN_WORDS[style]})" if shape.answer else "reference <- nothing")
    if shape.solution and shape.solution != shape.answer:
        lines.append(f"solution <- {shape.solution}")
    elif style in ("hashes", "box"):
        lines.append(f"solution <- {shape.answer}")
    return (*lines, f"id <- {ids or 'position'}")


def oddities(problems: ProblemSet, shape: Shape) -> tuple[str, ...]:
    """What is odd about these problems and no reason to refuse them, counted."""
    references: dict[str, list[str | None]] = defaultdict(list)
    for problem in problems:
        references[question_key(problem.question)].append(problem.reference)
    repeated = [found for found in references.values() if len(found) > 1]
    differing = sum(len(set(found)) > 1 for found in repeated)
    # The tests of a task may well be many and long.
    answered = [] if shape.grader == "code" else problems.problems
    listed = (value_at(problem.columns, shape.answer) for problem in answered if shape.answer)
    several = sum(isinstance(value, list | tuple) and len(value) > 1 for value in listed)
    missing = sum(problem.reference is None for problem in answered)
    long = sum(len(problem.reference or "") > _LONG for problem in answered)
    return counted(
        (len(repeated), "question occurs more than once", "questions occur more than once"),
        (differing, "repeated question has different answers", "repeated questions have different answers"),
        (
            several,
            "reference lists several answers, all to be given",
            "references list several answers, all to be given",
        ),
        (long, "reference looks like a whole solution", "references look like whole solutions"),
        (missing, "problem has no reference", "problems have no reference"),
    )


def counted(*facts: tuple[int, str, str]) -> tuple[str, ...]:
    """(2, "row is odd", "rows are odd") as "2 rows are odd"; nothing where the count is 0."""
    return tuple(f"{count} {one if count == 1 else many}" for count, one, many in facts if count)
