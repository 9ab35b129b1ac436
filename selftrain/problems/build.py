"""Rows and the shape they have to problems: every row is checked, and all faults are told at once."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

from selftrain.problems.answers import Style, read_answer, style_of
from selftrain.problems.overlap import question_key
from selftrain.problems.problem_set import ProblemSet
from selftrain.problems.rows import Row, Table, excerpt, refuse
from selftrain.problems.shapes import Shape, column_for, first_column, value_at
from selftrain.types import Problem

_IDS = ("id", "unique_id")

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
    """The problems of `table`, in its order; it has one row at least.

    Raises DataError with the first faulty rows: empty question, missing or unreadable answer, empty or repeated id,
    characters that no model can be shown.
    """
    ids = None if id_column == _POSITION else id_column or first_column(table, _IDS)
    if ids is not None:
        ids = column_for("id", table, ids, _IDS)
    answers = (value_at(row.columns, shape.answer) for row in table.rows if shape.answer)
    style: Style = "verbatim" if shape.judge == "exact" else style_of(answers)
    problems = _problems(table, shape, style, ids, require_answers)
    chat = isinstance(value_at(table.rows[0].columns, shape.question[0]), list | tuple)
    return ProblemSet(table.name, problems, shape.judge, _mapping(shape, style, ids, chat))


def _problems(table: Table, shape: Shape, style: Style, ids: str | None, require_answers: bool) -> tuple[Problem, ...]:
    problems: list[Problem] = []
    complaints: list[str] = []
    first_with: dict[str, str] = {}
    for row in table.rows:
        try:
            problem = _problem(row, table.name, shape, style, ids)
            if problem.reference is None and require_answers:
                raise ValueError(f"the answer is missing (column {shape.answer})")
            if problem.id in first_with:
                raise ValueError(f"the id {excerpt(problem.id)} belongs to {first_with[problem.id]} already")
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
    return tuple(problems)


def _problem(row: Row, name: str, shape: Shape, style: Style, ids: str | None) -> Problem:
    """Raises ValueError, saying what is wrong with the row."""
    columns = row.columns
    question = shape.ask(*(value_at(columns, column) for column in shape.question))
    if not question:
        raise ValueError(f"the question is empty (column {', '.join(shape.question)})")
    key = row.key
    if ids is not None:
        given = value_at(columns, ids)
        key = "" if given is None else str(given).strip()
        if not key:
            raise ValueError(f"the id is empty (column {ids})")
    answer = None if shape.answer is None else value_at(columns, shape.answer)
    worked = answer if style in ("hashes", "box") else None
    solution = value_at(columns, shape.solution) if shape.solution and shape.solution != shape.answer else worked
    if isinstance(solution, list | tuple):
        solution = "\n".join(str(part) for part in solution)
    problem = Problem(
        f"{name}/{key}", question, read_answer(answer, style), columns, None if solution is None else str(solution)
    )
    for text in (problem.id, problem.question, problem.reference, problem.solution):
        if text and (bad := _UNWRITABLE.search(text)):
            raise ValueError(f"the character {bad[0]!a} in {excerpt(text)} cannot be shown to a model")
    return problem


def _mapping(shape: Shape, style: Style, ids: str | None, chat: bool) -> tuple[str, ...]:
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
    listed = (value_at(problem.columns, shape.answer) for problem in problems if shape.answer)
    several = sum(isinstance(value, list | tuple) and len(value) > 1 for value in listed)
    missing = sum(problem.reference is None for problem in problems)
    long = sum(len(problem.reference or "") > _LONG for problem in problems)
    counted = (
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
    return tuple(f"{count} {one if count == 1 else many}" for count, one, many in counted if count)
