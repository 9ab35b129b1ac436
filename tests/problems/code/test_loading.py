"""Programming tasks become problems: from files, hub rows and arrays, with their tests as the reference."""

import json
import re

import pytest

from selftrain.errors import DataError, SettingsError
from selftrain.problems import load_problems, overlap
from selftrain.problems.code import read_task
from selftrain.problems.code.layouts import LAYOUTS
from selftrain.problems.columns import detect_columns
from selftrain.problems.rows import Table, rows_of

HUMANEVAL = {
    "task_id": "HumanEval/0",
    "prompt": 'def add(a, b):\n    """The sum."""\n',
    "entry_point": "add",
    "canonical_solution": "    return a + b\n",
    "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(2, 2) == 4\n",
}
MBPP = {
    "task_id": 601,
    "text": "Write a function to add.",
    "code": "def add(a, b):\r\n\treturn a + b",
    "test_list": ["assert add(1, 2) == 3", "assert add(2, 2) == 4", "assert add(0, 0) == 0"],
    "test_setup_code": "",
    "challenge_test_list": [],
}
APPS = {
    "problem_id": 7,
    "question": "Print the sum.",
    "solutions": json.dumps(["print(sum(map(int, input().split())))"]),
    "input_output": json.dumps({"inputs": ["1 2\n", "2 2\n"], "outputs": ["3\n", "4\n"]}),
    "difficulty": "introductory",
    "url": "https://example.org",
    "starter_code": "",
}


def apps(**changes):
    return {**APPS, **changes}


def test_a_task_becomes_a_problem():
    (problem,) = load_problems([HUMANEVAL])
    assert (problem.id, problem.question) == ("in_memory/HumanEval/0", HUMANEVAL["prompt"])
    assert problem.reference == HUMANEVAL["test"].strip()
    assert problem.solution == HUMANEVAL["prompt"] + HUMANEVAL["canonical_solution"]
    assert problem.columns == HUMANEVAL
    (problem,) = load_problems([MBPP])
    assert problem.id == "in_memory/601"
    assert problem.question.endswith("Your code should pass this test:\nassert add(1, 2) == 3")
    assert problem.reference == "\n".join(MBPP["test_list"])
    assert problem.solution == "def add(a, b):\n\treturn a + b"
    (problem,) = load_problems([APPS])
    assert problem.id == "in_memory/7"
    assert problem.question == "QUESTION:\nPrint the sum.\nUse Standard Input format\nANSWER:"
    assert problem.reference == APPS["input_output"]
    assert problem.solution == "print(sum(map(int, input().split())))"


def test_the_mapping_lists_the_columns():
    problems = load_problems([MBPP])
    assert problems.grader == "code"
    assert problems.mapping == (
        "question <- text (as a programming task)",
        "reference <- test_list (all tests)",
        "solution <- code",
        "id <- task_id",
    )
    assert problems.warnings == ()
    bare = {name: value for name, value in MBPP.items() if name != "code"}
    assert load_problems([bare]).mapping[2:] == ("id <- task_id",)
    assert load_problems([bare])[0].solution is None


def test_the_sets_name_is_not_in_an_id_twice():
    assert load_problems([HUMANEVAL], split="humaneval")[0].id == "in_memory/humaneval/0"
    assert load_problems([HUMANEVAL], split="plus")[0].id == "in_memory/plus/HumanEval/0"
    assert load_problems([MBPP], split="mbpp")[0].id == "in_memory/mbpp/601"


def test_ids_may_be_named_or_numbered():
    rows = [{**MBPP, "nr": "a"}, {**MBPP, "text": "Again.", "nr": "b"}]
    with pytest.raises(DataError, match=r"row 2: the id 'in_memory/601' belongs to in_memory: row 1 already"):
        load_problems(rows)
    assert [problem.id for problem in load_problems(rows, id_column="nr")] == ["in_memory/a", "in_memory/b"]
    assert [problem.id for problem in load_problems(rows, id_column="position")] == ["in_memory/0", "in_memory/1"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_detected(layout):
    columns = (layout.question, layout.tests, *layout.also)
    table = Table("set", rows_of([dict.fromkeys(columns, "x")], "set"))
    mapping = detect_columns(table, None, None, known=None, require_answers=True)
    assert mapping.grader == "code"
    assert (mapping.question, mapping.answer) == (layout.question, layout.tests)


def test_columns_beside_a_task_do_not_hide_it():
    problems = load_problems([{**APPS, "answer": "3", "solution": "s", "id": "x", "options": ["a"]}])
    assert (problems.grader, problems[0].id) == ("code", "in_memory/7")


def test_whoever_names_both_columns_gets_plain_questions():
    row = {**APPS, "answer": "3"}
    problems = load_problems([row], question_column="question", answer_column="answer")
    assert (problems.grader, problems[0].question, problems[0].reference) == ("math", "Print the sum.", "3")
    assert problems[0].id == "in_memory/0"
    for named in ({"question_column": "url"}, {"answer_column": "answer"}):
        with pytest.raises(SettingsError, match=r"are programming tasks(.|\n)*tests from input_output"):
            load_problems([row], **named)
    assert load_problems([row], question_column="question").grader == "code"
    assert load_problems([row], answer_column="input_output").grader == "code"


NO_TESTS = [None, "", " \n", "null", "{}", '{"inputs": [], "outputs": []}', '{"fn_name": "f", "inputs": []}']


@pytest.mark.parametrize("tests", NO_TESTS)
@pytest.mark.parametrize("require_answers", [True, False])
def test_tasks_without_tests_are_left_out_and_counted(tests, require_answers):
    problems = load_problems([apps(problem_id=1, input_output=tests), APPS], require_answers=require_answers)
    assert [problem.id for problem in problems] == ["in_memory/7"]
    assert problems.warnings == ("1 problem has no tests and is left out",)
    limited = load_problems([apps(problem_id=n, input_output=tests) for n in (1, 2)] + [APPS], max_problems=1)
    assert limited.warnings == ("2 problems have no tests and are left out",)


def test_a_set_without_any_test_is_refused():
    with pytest.raises(DataError, match=r"None of the 7 problems of in_memory has a test(.|\n)*column input_output"):
        load_problems([apps(problem_id=n, input_output=tests) for n, tests in enumerate(NO_TESTS)])
    with pytest.raises(DataError, match="None of the 1 problems"):
        load_problems([{**HUMANEVAL, "test": "def check(candidate):\n    assert True\n"}])


def test_faulty_tasks_are_refused_together_with_their_lines(tmp_path):
    rows = [
        APPS,
        apps(problem_id=1, input_output='{"inputs": ["1"], "outputs": []}'),
        apps(problem_id=2, input_output="{"),
        apps(problem_id=3, question=" "),
        apps(problem_id=4, input_output=json.dumps({"fn_name": "f", "inputs": [3], "outputs": [3]})),
        apps(problem_id=5, input_output=json.dumps({"inputs": [3], "outputs": ["3"]})),
        apps(problem_id=6, input_output="[1]"),
        apps(problem_id=8, input_output="null"),
        apps(problem_id=7),
        {"question": "no tests", "answer": "1"},
        apps(problem_id=9, solutions=json.dumps(["print('\ud800')"])),
    ]
    path = tmp_path / "set.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError) as failure:
        load_problems(path)
    told = [line.strip().removeprefix(f"{path}:") for line in failure.value.found.splitlines()]
    assert told == [
        "9 of 11 rows cannot be used:",
        "2: its inputs and outputs are not two lists of one length",
        "3: its input_output is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        "4: its question is empty",
        "5: the arguments of a call are a int, not a list",
        "6: the input or output of a program is a int, neither text nor lines",
        "7: its input_output is a list, not an object",
        f"9: the id '{tmp_path.name}/set/7' belongs to {path}:1 already",
        "10: the columns question, answer are those of no known layout (HumanEval, MBPP, APPS)",
        "11: the character '\\ud800' in \"print('\\ud800')\" cannot be shown to a model",
    ]


def test_huge_integers_stay_text():
    digits = "7" * 5000
    tests = f'{{"fn_name": "f", "inputs": [[{digits}]], "outputs": [{digits}]}}'
    (problem,) = load_problems([apps(input_output=tests)])
    assert problem.reference == tests
    (case,) = read_task(problem.columns).rewarded.cases
    assert case.input == [case.expected]
    assert case.expected % 10**9 == 777777777


def test_arrays_and_parquet_read_the_same(tmp_path):
    from datasets import Dataset

    rows = [MBPP, {**MBPP, "task_id": 602, "text": "Write another."}]
    data = Dataset.from_list(rows)
    data.to_parquet(tmp_path / "train.parquet")
    wanted = [(problem.question, problem.reference, problem.solution) for problem in load_problems(rows)]
    for source in (data, data.with_format("numpy"), tmp_path / "train.parquet"):
        problems = load_problems(source)
        assert [(problem.question, problem.reference, problem.solution) for problem in problems] == wanted
        assert [problem.id.rsplit("/", 1)[1] for problem in problems] == ["601", "602"]
        assert read_task(problems[0].columns).num_tests == 3


def test_tests_may_be_an_object():
    (problem,) = load_problems([apps(input_output=json.loads(APPS["input_output"]))])
    assert problem.reference == APPS["input_output"]


def test_the_file_of_humaneval(data):
    problems = load_problems(data / "humaneval" / "HumanEval.jsonl.gz")
    assert [problem.id for problem in problems] == [f"humaneval/HumanEval/{n}" for n in range(164)]
    assert problems.warnings == ()
    assert all(problem.solution.startswith(problem.question) for problem in problems)
    assert all("def check(candidate)" in problem.reference for problem in problems)


def test_the_file_of_mbpp(data):
    problems = load_problems(data / "mbpp" / "mbpp_prompt_validation_train.jsonl")
    numbers = [int(problem.id.removeprefix("mbpp/mbpp_prompt_validation_train/")) for problem in problems]
    # The file is one split to us; the numbers tell those of its authors: prompt, validation and train.
    assert numbers == [*range(1, 11), *range(511, 601), *range(601, 975)]
    assert problems.warnings == ()
    assert all(problem.reference.count("assert") >= 3 for problem in problems)
    assert not any("\r" in text for problem in problems for text in (problem.question, problem.solution))
    assert sum("\t" in problem.solution for problem in problems) > 50
    assert all(problem.question.endswith(problem.reference.split("\n")[0]) for problem in problems)


LIKE_A_BUILTIN = {
    **MBPP,
    "task_id": 126,
    "code": "def sum(a, b):\r\n    s = 0\r\n    for i in range(1, min(a, b)):\r\n        s += i\r\n    return s",
    "test_list": ["assert sum(10, 15) == 45", "assert sum(2, 9) == 1"],
}
PLUS = """
import numpy as np
def assertion(out, exp, atol):
    assert out == exp
for i, (inp, exp) in enumerate(zip([[1]], [1])):
    assertion(f(*inp), exp, 0)
"""


FORMS = ["full", "sanitized", "EvalPlus", "without programs"]


@pytest.mark.parametrize(
    ("form", "suffix"),
    [
        pytest.param(form, suffix, marks=[] if at == place % 3 else pytest.mark.slow)
        for place, form in enumerate(FORMS)
        for at, suffix in enumerate([".jsonl", ".parquet", ".json"])
    ],
)
def test_every_form_of_mbpp_loads_whole(data, tmp_path, form, suffix):
    from datasets import Dataset

    lines = (data / "mbpp" / "mbpp_prompt_validation_train.jsonl").read_text("utf-8").splitlines()
    rows = [*map(json.loads, lines), LIKE_A_BUILTIN]
    if form != "full":
        rows = [
            {
                "source_file": "Benchmark Questions.ipynb",
                "task_id": row["task_id"],
                "prompt": row["text"],
                "code": "" if form == "without programs" else row["code"],
                "test_imports": [row["test_setup_code"]] if row["test_setup_code"] else [],
                "test_list": row["test_list"],
                **({"test": PLUS} if form == "EvalPlus" else {}),
            }
            for row in rows
        ]
    path = tmp_path / f"train{suffix}"
    if suffix == ".parquet":
        Dataset.from_list(rows).to_parquet(path)
    else:
        path.write_text("\n".join(map(json.dumps, rows)) if suffix == ".jsonl" else json.dumps(rows))
    problems = load_problems(path)
    assert (len(problems), problems.grader, problems.warnings) == (475, "code", ())
    assert read_task(problems[-1].columns).entry_point == "sum"


def test_problems_of_code_can_be_drawn_and_compared(data):
    path = data / "mbpp" / "mbpp_prompt_validation_train.jsonl"
    drawn, whole = load_problems(path, max_problems=20, seed=1), load_problems(path)
    assert len(drawn) == 20
    assert len(overlap(whole, drawn)) == 20
    assert overlap(whole, load_problems(data / "humaneval" / "HumanEval.jsonl.gz")) == []
    rest, held_out = whole.split_off(0.1)
    assert (len(rest), len(held_out)) == (427, 47)
    assert all(re.fullmatch(r"[\w/]+/\d+", problem.id) for problem in held_out)
