"""Which program an answer gives."""

from __future__ import annotations

from dataclasses import replace

import pytest

from selftrain.graders.code.extract_program import extract_code, extract_program, method_or_function
from selftrain.problems.code import CodeTask
from selftrain.problems.code import Tests as Group

OPENING = 'from math import pi\n\ndef area(r):\n    """The area of a circle."""\n'
ASKED = CodeTask(
    kind="check",
    question="Write a function.",
    entry_point="area",
    rewarded=Group(1, "assert area(0) == 0"),
    held_back=None,
)
CONTINUED = replace(ASKED, question=OPENING, preamble=OPENING, completion_prefix=OPENING)
WHOLE = replace(ASKED, kind="stdin", entry_point=None, preamble="import sys\n", rewarded=Group(1))
BODY = "    return pi * r * r\n"
FUNCTION = "def area(r):\n    return 3 * r * r\n"


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (BODY, "pi"),
        (BODY + "\n\ndef helper():\n    pass\n", "pi"),
        (BODY + "\nThis function works.\n", "pi"),
        (BODY + "\nif __name__ == '__main__':\n    print(area(input()))\n", "pi"),
        (FUNCTION, "3"),
        ("Here it is:\n" + FUNCTION + "Done.", "3"),
        (f"```python\n{FUNCTION}```", "3"),
        (f"First\n```\n{FUNCTION}\n```\nand to use it\n```python\nprint(area(1))\n```", "3"),
        (f"```python\ndef area(r):\n    return 0\n```\nNo, better:\n```python\n{FUNCTION}```", "3"),
        (f"```py\n{FUNCTION}", "3"),
        (f"<think>```python\ndef area(r): return 0\n```</think>\n{FUNCTION}", "3"),
        (f"```python\n{BODY}```", "pi"),
        (f"```python\r\n{FUNCTION.replace(chr(10), chr(13) + chr(10))}```", "3"),
    ],
)
def test_a_continued_function_and_one_written_anew_both_run(answer: str, value: str) -> None:
    space: dict[str, object] = {}
    exec(extract_program(answer, CONTINUED) or "", space)
    assert space["area"](1) == {"pi": pytest.approx(3.14159, 1e-4), "3": 3}[value]  # type: ignore[operator]


def test_marks_of_mbpp_are_taken_off() -> None:
    assert extract_program(f"[BEGIN]\n{FUNCTION}[DONE]\nmore", ASKED) == FUNCTION


@pytest.mark.parametrize("answer", ["", "   \n", "```\n```", "I do not know.", "return 3"])
def test_an_answer_without_the_function_is_no_program(answer: str) -> None:
    assert extract_program(answer, ASKED) is None


def test_a_whole_program_is_the_answer_itself_after_what_is_taken_for_granted() -> None:
    assert extract_program("print(input())", WHOLE) == "import sys\nprint(input())"
    assert extract_program("So:\n```python\nprint(1)\n```", WHOLE) == "import sys\nprint(1)\n"


def test_a_method_of_solution_is_called_as_one() -> None:
    leet = "class Solution:\n    def f(self, a):\n        return a\n"
    assert method_or_function(leet, "f") == "Solution.f"
    assert method_or_function(leet + "def f(a): return a\n", "f") == "f"
    assert method_or_function("def f(a): return a", "f") == "f"


def test_reading_without_a_task_gives_the_last_block_or_the_text() -> None:
    assert extract_code(f"a\n```\nx = 1\n```\nb\n```\n{FUNCTION}```") == FUNCTION.strip()
    assert extract_code(" x = 1 ") == "x = 1"
    assert extract_code("<think>only thought</think> ") is None


def test_a_hostile_text_is_read_at_once() -> None:
    for text in ("(" * 200_000, "```" * 100_000, "def area(" * 50_000, " " * 500_000, "\n" * 500_000):
        extract_program(text, CONTINUED)
