"""Which columns hold the question and the answer: told from their names, or by the caller.

Some published sets need more than two names. SimulEq (ALG514), MultiArith, AddSub, SingleEq and MAWPS list their
solutions in `lSolutions`; the reference is every listed value in the order of the data, such as "15, 9". In SimulEq
the list names every unknown of the system, though about a hundred of its 514 questions ask for one of two only (the
first, in the rows looked at): by this rule both must be given, so it may call a right answer wrong and never a wrong
one right. The one-answer copies (`question`/`answer`, LILA's `input`/`output_answer`) keep the first value, and are
scored by that alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from selftrain.errors import DataError, SettingsError
from selftrain.problems.code import looks_like_code
from selftrain.problems.rows import Table, excerpt, nearest

#: Who tells a right answer: "math" compares values (numbers, formulas, lists without order), "choice" the letter of
#: an option, "exact" the text after "the answer is" without its last full stop, "code" runs the tests of a task.
Grader = Literal["math", "choice", "exact", "code"]

QUESTIONS = ("question", "problem", "prompt", "messages")
ANSWERS = ("answer", "ground_truth", "reward_model.ground_truth", "final_answer", "final_ans", "solution")
SOLUTIONS = ("solution", "rationale")


def as_text(value: object) -> str:
    """A question that is a text, or the last user message of a chat.

    Raises ValueError where it is neither.
    """
    if value is None or isinstance(value, str):
        return (value or "").strip()
    if not isinstance(value, list | tuple):
        raise ValueError(f"the question is a {type(value).__name__}, {excerpt(value)}")
    said = [message for message in value if isinstance(message, Mapping) and message.get("role") == "user"]
    if not said:
        raise ValueError(f"no message of the user in {excerpt(value)}")
    content = said[-1].get("content")
    if isinstance(content, list | tuple):
        content = "\n".join(part["text"] for part in content if isinstance(part, Mapping) and part.get("text"))
    return content.strip() if isinstance(content, str) else ""


def _with_options(question: object, options: object) -> str:
    if not isinstance(options, list | tuple) or not all(isinstance(option, str) for option in options):
        raise ValueError(f"the options are no list of texts: {excerpt(options)}")
    return "\n".join([as_text(question), "Options:", *options])


def _as_sentences(body: object, question: object) -> str:
    story, asked = as_text(body), as_text(question)
    return f"{story}{'' if story.endswith(('.', '?', '!')) else '.'} {asked}" if story else asked


@dataclass(frozen=True)
class Shape:
    """Shape(question=("Body", "Question"), answer="Answer", ask=_as_sentences)

    A name with a dot leads into a nested column. `ask` gets the values of the `question` columns, in order.
    """

    question: tuple[str, ...]
    answer: str | None
    solution: str | None = None
    ask: Callable[..., str] = as_text
    grader: Grader = "math"


LISTED = Shape(("sQuestion",), "lSolutions")
CHOICES = Shape(("question", "options"), "correct", solution="rationale", ask=_with_options, grader="choice")
STORY = Shape(("Body", "Question"), "Answer", ask=_as_sentences)
LILA = Shape(("input",), "output_answer")
BIG_BENCH = Shape(("input",), "target", grader="exact")

#: Of programming tasks: where the text and the tests are. `read_code` makes a question of them.
HUMANEVAL = Shape(("prompt",), "test", solution="canonical_solution", grader="code")
MBPP = Shape(("text",), "test_list", solution="code", grader="code")
MBPP_SANITIZED = Shape(("prompt",), "test_list", solution="code", grader="code")
APPS = Shape(("question",), "input_output", solution="solutions", grader="code")

_PUBLISHED = (LISTED, CHOICES, STORY, LILA, BIG_BENCH)
_TASKS = (HUMANEVAL, MBPP, MBPP_SANITIZED, APPS)


def value_at(columns: Mapping[str, Any], name: str) -> Any:
    """The value of a column, or of a nested one such as `reward_model.ground_truth`; None where there is none."""
    if name in columns:
        return columns[name]
    value: Any = columns
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def find_shape(
    table: Table, question_column: str | None, answer_column: str | None, *, known: Shape | None, require_answers: bool
) -> Shape:
    """The shape of `table`: as known or published, then with the columns that the caller names.

    Programming tasks are read as such unless the caller names both columns. Raises DataError where no column can be
    the question, or none the answer though answers are required; SettingsError where one is named of a task.
    """
    if looks_like_code(table.column_names) and (question_column is None or answer_column is None):
        return _shape_of_tasks(table, question_column, answer_column)
    candidates = (known, *_PUBLISHED) if known and known.grader != "code" else _PUBLISHED
    fitting = (shape for shape in candidates if _has(table, *shape.question, str(shape.answer)))
    shape = next(fitting, Shape((), None))
    if question_column is not None or not shape.question:
        name = column_for("question", table, question_column, QUESTIONS)
        shape = replace(shape, question=(name,), ask=as_text)
    if answer_column is not None or (shape.answer is None and (require_answers or first_column(table, ANSWERS))):
        shape = replace(shape, answer=column_for("answer", table, answer_column, ANSWERS))
    return replace(shape, solution=shape.solution or first_column(table, SOLUTIONS))


def _shape_of_tasks(table: Table, question_column: str | None, answer_column: str | None) -> Shape:
    shape = next(one for one in _TASKS if _has(table, *one.question, str(one.answer)))
    for role, named, own in (
        ("question", question_column, shape.question[0]),
        ("answer", answer_column, shape.answer),
    ):
        if named not in (None, own):
            raise SettingsError(
                f"{role}_column is {named!r}, and the rows of {table.name} are programming tasks.",
                f"What a task asks is read from {shape.question[0]}, its tests from {shape.answer}.",
                "Name neither column; or both --question_column and --answer_column, to read plain questions.",
            )
    return shape if first_column(table, (str(shape.solution),)) else replace(shape, solution=None)


def column_for(role: str, table: Table, named: str | None, usual: tuple[str, ...]) -> str:
    """The column `named`, or else the first of the usual ones that is there.

    Raises DataError with the columns found, the nearest of them, and the flag that names one.
    """
    found = first_column(table, (named,) if named else usual)
    if found is not None:
        return found
    names = table.column_names
    near = nearest(named, names) if named else next(filter(None, (nearest(name, names) for name in usual)), "")
    raise DataError(
        f"{table.name} has no column for the {role}: looked for {named or ', '.join(usual)}; "
        f"found {', '.join(names) or 'none'}.",
        f"Without it the {role} of a row cannot be told.",
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
