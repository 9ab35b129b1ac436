"""Programs against tests: the right ones are found right, and nothing else is."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selftrain.graders import CodeGrader, Grader, open_grader, self_test
from selftrain.graders.code.config import CodeConfig
from selftrain.sandbox import self_test as sandbox_test
from selftrain.types import Problem
from tests.graders.answers import grade, grade_all, response
from tests.sandbox.forging import EXPECTED, HONEST, OBJECTS, STDIN, STDIN_HONEST, WRONG, programs, stdin_programs

RIGHT = {1: 11, 2: 17, 5: 47, 40: 1727}


def task(columns: dict[str, Any], id: str = "p", solution: str | None = None) -> Problem:
    return Problem(id, "Write f.", "tests", columns, solution)


def asserting(*assertions: str, id: str = "p") -> Problem:
    return task({"text": "Write f.", "test_list": list(assertions), "code": HONEST}, id)


def calling(cases: dict[int, int]) -> Problem:
    tests = {"fn_name": "f", "inputs": [[n] for n in cases], "outputs": list(cases.values())}
    return task({"question": "Write f.", "input_output": json.dumps(tests)}, "calls")


CHECKED = asserting(*(f"assert f({n}) == {value}" for n, value in RIGHT.items()))
CALLED = calling(RIGHT)
FED = task({"question": "Add 1.", "input_output": {"inputs": [STDIN, "5\n"], "outputs": [EXPECTED, "6\n"]}}, "stdin")


@pytest.fixture(scope="module")
def grader() -> Iterator[CodeGrader]:
    if sandbox_test()[0] is None:
        pytest.skip("no sandbox holds on this machine")
    with CodeGrader(CodeConfig(test_timeout=0.5)) as opened:
        yield opened


@pytest.fixture(scope="module")
def including_weak(grader: CodeGrader) -> Iterator[CodeGrader]:
    with CodeGrader(CodeConfig(weak_tests="include")) as opened:
        yield opened


@pytest.fixture(scope="module")
def evaluation_grader(grader: CodeGrader) -> Grader:
    return grader.evaluation_grader()


def values(grader: Grader, problem: Problem, texts: list[str]) -> list[float | None]:
    return [score.value for score in grade_all(grader, [problem] * len(texts), texts)]


@pytest.mark.parametrize("problem", [CHECKED, CALLED], ids=["assertions", "calls"])
def test_honest_programs_are_right_and_forged_ones_are_not(
    grader: CodeGrader, evaluation_grader: Grader, problem: Problem
) -> None:
    for one in (grader, evaluation_grader):
        assert values(one, problem, [HONEST, WRONG, "", "def f(n):\n    return"]) == [1.0, 0.0, 0.0, 0.0]
    verdicts = dict(zip(programs(), values(evaluation_grader, problem, [*programs().values()]), strict=True))
    assert {name for name, value in verdicts.items() if value is None} == OBJECTS
    assert [name for name, value in verdicts.items() if value not in (None, 0)] == []


def test_forged_output_is_not_right(evaluation_grader: Grader) -> None:
    assert values(evaluation_grader, FED, [STDIN_HONEST, "print(2)\nprint(3)"]) == [1.0, 0.0]
    assert [name for name, text in stdin_programs().items() if grade(evaluation_grader, FED, text).value != 0] == []


def test_what_is_right_only_on_rewarded_tests_shows_and_fails_evaluations(
    grader: CodeGrader, evaluation_grader: Grader
) -> None:
    cheat = "def f(n):\n    return {1: 11, 2: 17, 5: 47}.get(n, 0)\n"
    for problem in (CHECKED, CALLED):
        assert grade(grader, problem, cheat).value == 1.0
        assert grade(grader, problem, cheat).extra_scores == {"held_back": 0.0}
        assert grade(grader, problem, HONEST).extra_scores == {"held_back": 1.0}
        assert grade(evaluation_grader, problem, cheat).value == 0.0


def test_a_program_may_be_fenced_and_spoken_about(grader: CodeGrader) -> None:
    assert grade(grader, CHECKED, f"Sure!\n```python\n{HONEST}```\nIt adds up.").value == 1.0


def test_a_thought_that_the_prompt_opened_is_no_program(grader: CodeGrader) -> None:
    asked = "Write f.\n<think>\n"
    draft = f"```python\n{HONEST}```"
    answers = [response(text) for text in (draft, f"{draft}\n</think>\n```python\n{WRONG}```", f"Hm.</think>{draft}")]
    scores = grader.grade([replace(one, prompt_text=asked) for one in answers], {"p": CHECKED})
    assert [score.value for score in scores] == [0.0, 0.0, 1.0]


def test_a_hanging_program_is_wrong_in_time(grader: CodeGrader) -> None:
    score = grade(grader, CHECKED, "def f(n):\n    while True: pass\n")
    # Of its own it had half a second; on the clock it depends on what else runs here.
    assert (score.value, score.reason) == (0.0, "timeout: over 0.5 s") and score.seconds < 10


SLOW = "def f(n):\n    s = 0\n    for i in range({count}): s += i\n    return n * n + 3 * n + 7\n"


@pytest.mark.parametrize("kind", ["assertions", "calls", "inputs"])
def test_a_program_has_three_times_what_the_reference_takes(kind: str) -> None:
    """The usual limit is far below what the problem's own solution takes."""
    columns = {
        "assertions": {"text": "Write f.", "test_list": ["assert f(1) == 11"], "code": SLOW},
        "calls": {
            "question": "?",
            "input_output": {"fn_name": "f", "inputs": [[1]], "outputs": [11]},
            "solutions": [SLOW],
        },
        "inputs": {
            "question": "?",
            "input_output": {"inputs": [""], "outputs": ["11"]},
            "solutions": [SLOW + "print(f(1))"],
        },
    }[kind]
    problem = task(json.loads(json.dumps(columns).replace("{count}", "1000000")), kind)
    text = SLOW + ("print(f(1))\n" if kind == "inputs" else "")
    texts = [text.replace("{count}", str(count)) for count in (1_500_000, 10**9)]
    with CodeGrader(CodeConfig(test_timeout=0.02)) as impatient:
        scores = grade_all(impatient, [problem] * 2, texts)
    assert [score.value for score in scores] == [1.0, 0.0]
    assert "3 times what the problem's own solution takes" in scores[1].reason


def test_where_the_reference_never_ends_late_programs_are_unjudged() -> None:
    columns = {"text": "Write f.", "test_list": ["assert f(1) == 11"], "code": "def f(n):\n    while True: pass\n"}
    with CodeGrader(CodeConfig(test_timeout=0.03)) as impatient:
        late, right = grade_all(impatient, [task(columns)] * 2, [SLOW.replace("{count}", "10**9"), HONEST])
    assert (late.value, right.value) == (None, 1.0)
    assert "the problem's own solution takes over 0.6 s" in late.reason


def test_a_function_named_like_a_builtin_has_to_be_written(grader: CodeGrader) -> None:
    columns = {"text": "?", "test_list": ["assert sum([1, 2]) == 3"], "code": "def sum(a):\n    return a[0] + a[1]\n"}
    assert values(grader, task(columns, "sum"), [columns["code"], "def total(a):\n    return 3\n"]) == [1.0, 0.0]


@pytest.mark.parametrize("kind", ["assertions", "calls"])
def test_results_that_are_no_data_are_unjudged_unless_another_is_wrong(grader: CodeGrader, kind: str) -> None:
    problem = CHECKED if kind == "assertions" else CALLED
    text = "class A:\n    pass\ndef f(n):\n    return {first} if n == 1 else {second}\n"
    some = [text.format(first=11, second="A()"), text.format(first=12, second="A()")]
    assert values(grader, problem, some) == [None, 0.0]


def test_a_large_right_output_is_right(grader: CodeGrader) -> None:
    numbers = "\n".join(map(str, range(170_000)))
    tests = {"inputs": ["170000\n"], "outputs": [numbers]}
    problem = task({"question": "Count.", "input_output": tests}, "large")
    counts = "print(*range(int(input())), sep='\\n')"
    assert len(numbers) > 1 << 20
    assert values(grader, problem, [counts, counts + "\nprint('x' * 9**8)"]) == [1.0, 0.0]
    listed = task(
        {"question": "?", "input_output": {"fn_name": "f", "inputs": [[]], "outputs": [[[1] * 250_000]]}}, "list"
    )
    assert values(grader, listed, ["def f(): return [1] * 250000"]) == [1.0]


DRESSES = {
    "future": "from __future__ import annotations\n{}",
    "doctest": "{}\n\nif __name__ == '__main__':\n    import doctest\n    doctest.testmod()\n",
    "imports": "import numpy as np\nimport unittest, argparse\n{}",
    "byte order mark": "\ufeff{}",
    "closing fence": "{}\n```\nThis works.",
    "list": "1. Here:\n    ```python\n    {}\n    ```",
}


def dressed(code: str, dress: str) -> str:
    indent = "\n    " if dress == "list" else "\n"
    text = DRESSES[dress].replace("{}", code.replace("\n", indent))
    return text if dress in ("closing fence", "list") else f"```python\n{text}\n```"


def published(data: Path) -> list[Problem]:
    with gzip.open(data / "humaneval" / "HumanEval.jsonl.gz", "rt", encoding="utf-8") as lines:
        human = [task(row, row["task_id"], row["prompt"] + row["canonical_solution"]) for row in map(json.loads, lines)]
    lines = (data / "mbpp" / "mbpp_prompt_validation_train.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return human + [task(row, f"mbpp/{row['task_id']}", row["code"].replace("\r\n", "\n")) for row in rows]


@pytest.mark.parametrize("step", [80, pytest.param(1, marks=pytest.mark.slow)])
def test_published_solutions_are_right_in_every_dress(data: Path, step: int) -> None:
    problems = published(data)[::step]
    with CodeGrader(CodeConfig(weak_tests="include"), all_tests=True) as grader:
        for dress in DRESSES:
            texts = [dressed(str(problem.solution), dress) for problem in problems]
            scores = grade_all(grader, problems, texts)
            wrong = [(p.id, s.reason) for p, s in zip(problems, scores, strict=True) if s.value != 1]
            assert (dress, wrong) == (dress, [])


def test_what_passes_a_weak_test_is_unjudged_by_default(grader: CodeGrader, including_weak: CodeGrader) -> None:
    weak = asserting("assert f(Pair(1)) == 1", "assert f(Pair(2)) == 2", "assert f(Pair(3)) == 3", id="weak")
    right = "class Pair:\n    def __init__(self, a): self.a = a\ndef f(pair): return pair.a\n"
    wrong = "class Pair:\n    def __init__(self, a): self.a = a\ndef f(pair): return 0\n"
    assert values(grader, weak, [right, wrong]) == [None, 0.0]
    assert "weak" in grade(grader, weak, right).reason
    assert values(including_weak, weak, [right, wrong]) == [1.0, 0.0]


def test_a_forgery_of_a_weak_test_passes_the_shifted_test_as_well(including_weak: CodeGrader) -> None:
    weak = asserting("assert f(Pair(1)) == Pair(1)", "assert f(Pair(2)) == Pair(2)", id="weak pair")
    forged = (
        "class Pair:\n    def __init__(self, *a): pass\n    def __eq__(self, other): return True\ndef f(p): return p\n"
    )
    assert grade(including_weak, weak, forged).value in (0.0, None)


def test_tests_nobody_can_read_leave_answers_unjudged(grader: CodeGrader) -> None:
    score = grade(grader, task({"question": "?", "input_output": '{"inputs": ['}, "broken"), HONEST)
    assert score.value is None and "broken" in score.reason


def test_tests_that_cannot_run_are_our_fault_and_not_the_program_s(grader: CodeGrader) -> None:
    problem = asserting("import nonesuch", "assert f(1) == nonesuch.eleven", id="cannot run")
    assert grade(grader, problem, HONEST).value is None


def test_equal_programs_are_run_once(grader: CodeGrader) -> None:
    fresh = asserting("assert f(1) == 11", id="fresh")
    first = grader.grade([response(HONEST, "fresh")] * 3, {"fresh": fresh})
    assert len(set(map(id, first))) == 1


def test_the_self_test_runs_the_reference_solutions(evaluation_grader: Grader) -> None:
    good = Problem("good", "?", "tests", CHECKED.columns, HONEST)
    bad = Problem("bad", "?", "tests", CHECKED.columns, WRONG)
    none = Problem("none", "?", "tests", CHECKED.columns)
    assert [
        (problem.id, "failed" in reason) for problem, reason in self_test(evaluation_grader, [good, bad, none])
    ] == [("bad", True)]


def test_the_grader_says_what_held_the_programs(grader: CodeGrader) -> None:
    assert grader.metadata["sandbox"].startswith("tier ") and grader.metadata["run_model_code"] == "sandboxed"
    assert grader.warning == ""


def test_code_is_a_grader_by_name(grader: CodeGrader) -> None:
    with open_grader("code") as opened:
        assert isinstance(opened, CodeGrader) and opened.metadata == grader.metadata


def _marked(data: Path) -> Iterator[tuple[str, Problem, str, bool]]:
    for folder in sorted((data / "apps" / "train").iterdir()):
        columns = {"question": (folder / "question.txt").read_text("utf-8"),
                   "input_output": (folder / "input_output.json").read_text("utf-8")}  # fmt: skip
        for name in ("gen_solutions.json", "baseline_solutions.json"):
            for one in json.loads((folder / name).read_text("utf-8")):
                yield folder.name, task(columns, folder.name), one["code"], one["result"] is True


@pytest.mark.slow
def test_marked_programs_of_apps_are_graded_as_marked(data: Path) -> None:
    rows = list(_marked(data))
    with CodeGrader(CodeConfig(test_timeout=4)) as grader:
        scores = grade_all(
            grader.evaluation_grader(), [problem for _, problem, _, _ in rows], [text for _, _, text, _ in rows]
        )
    differing = [(row[0], score.reason) for row, score in zip(rows, scores, strict=True) if score.value != row[3]]
    # One program defines its class within a function, where no caller finds it.
    assert len(rows) == 46 and [name for name, _ in differing] == ["2404"] and "defines no" in differing[0][1]


@pytest.mark.slow
def test_every_published_solution_is_right_and_no_stub_is(data: Path) -> None:
    problems = published(data)
    with CodeGrader(CodeConfig(weak_tests="include")) as grader:
        assert self_test(grader.evaluation_grader(), problems) == []
        stubs = grade_all(grader, problems[:164], ["    return None\n"] * 164)
        assert [score.value for score in stubs] == [0.0] * 164
