"""Which program an answer gives."""

from __future__ import annotations

import io
import time
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
        (f"{BODY}<|endoftext|>def other(x):\n    return x\n", "pi"),
        (f"[THINK]{BODY}[/THINK]{FUNCTION}<|im_end|>\n<|im_start|>user", "3"),
        (f"```python\r\n{FUNCTION.replace(chr(10), chr(13) + chr(10))}```", "3"),
    ],
)
def test_a_continued_function_and_one_written_anew_both_run(answer: str, value: str) -> None:
    space: dict[str, object] = {}
    exec(extract_program(answer, CONTINUED) or "", space)
    assert space["area"](1) == {"pi": pytest.approx(3.14159, 1e-4), "3": 3}[value]  # type: ignore[operator]


HELPER = "def half(x):\n    return x / 2\n"
HELPED = "def area(r):\n    return half(6 * r * r)\n"


def _indented(code: str, by: str) -> str:
    return "".join(f"{by}{line}\n" for line in code.splitlines())


@pytest.mark.parametrize(
    "answer",
    [
        # Fences
        f"{FUNCTION}```\nThis works.",
        f"import math\n{FUNCTION}```\nFor example:\n```python\nprint(area(1))\n```",
        f"```python\n{FUNCTION}```This works",
        f"1. Here:\n   ```python\n{_indented(FUNCTION, '   ')}   ```\nDone.",
        f"- ```python\n{_indented(FUNCTION, '  ')}  ```",
        f"- So:\n\t```py\n{_indented(FUNCTION, chr(9))}\t```",
        f"```python\n{_indented(FUNCTION, '    ')}```",
        f"```python\n{FUNCTION}    ```\nDone.",
        f"~~~python\n{FUNCTION}~~~",
        f"```{{.python .numbers}}\n{FUNCTION}```",
        '````python\ndef area(r):\n    """\n```\n1\n```\n    """\n    return 3 * r * r\n````',
        '```python\ndef area(r):\n    """\n    ```\n    1\n    ```\n    """\n    return 3 * r * r\n```\nDone.',
        "```def area(r):\n    return 3 * r * r\n```",
        # Several blocks
        f"A helper:\n```python\n{HELPER}```\nThen:\n```python\n{HELPED}```",
        f"```python\n{HELPED}```\nwith the helper\n```python\n{HELPER}```",
        f"```\n{HELPER}```\nand\n```python\n{HELPED}```",
        f"```python\n{HELPER}\n```python\n{HELPED}```",
        f"```python\n{HELPER}```\n```python\nfrom __future__ import annotations\n{HELPED}```",
        "```python\nimport math as m\n```\n```python\ndef area(r):\n    return 3 * m.pow(r, 2)\n```",
        f"```python\ndef area(r):\n    return q\n1 / 0\n```\nBetter:\n```python\n{FUNCTION}```",
        f"```python\n{FUNCTION}```\n```bash\npip install x\n```\nOutput:\n```\n6\n```",
        f"```java\nint area(int r) {{ return 0; }}\n```\n```python\n{FUNCTION}```",
        # No fence
        f"import sys\nsys.setswitchinterval(0.005)\n\n{FUNCTION}",
        f"A, B = 1, 2\nC: int = 3\nD = [\n    1,\n]\nD[0], D[-1] = 1, 2\nD.append(A)\nassert D\ndel C\n{FUNCTION}",
        f"try:\n    from math import comb\nexcept ImportError:\n    comb = None\nfinally:\n    pass\n{FUNCTION}",
        f"if 1:\n    a = 1\nelse:\n    a = 2\nfor b in [1]:\n    a += b\nwith open('/dev/null') as c: pass\n{FUNCTION}",
        f'"""A module.\n\nThis is its text.\n"""\nimport math\n{FUNCTION}',
        f"import functools\n@functools.lru_cache(\n    maxsize=None\n)\n{FUNCTION}",
        "def area(\n    r,\n):\n    return 3 * r * r\n",
        "area = lambda r: 3 * r * r",
        f"First the helper:\n{HELPER}\nNow the function:\n{HELPED}\nDone.",
        f"{HELPED}\nprint('x')\n\n{HELPER}",
        f"{FUNCTION}\nn = 3\nprint(area(int(input())))\n",
        f"{FUNCTION}\nprint(area(3",
        f"Solution:\n\n    import math\n\n{_indented(FUNCTION, '    ')}\nThat is all.",
        # What stands at the top
        f"\ufeff{FUNCTION}",
        f"```python\n\ufeff{FUNCTION}```",
        f"from __future__ import annotations\n{FUNCTION}",
        f'```python\n"""Doc."""\nfrom __future__ import annotations\n{FUNCTION}```',
    ],
)
@pytest.mark.parametrize("task", [ASKED, CONTINUED], ids=["asked", "continued"])
def test_the_function_is_found_in_any_dress(answer: str, task: CodeTask) -> None:
    space: dict[str, object] = {"__name__": "solution"}
    exec(task.preamble, space)
    exec(extract_program(answer, task) or "", space)
    assert space["area"](1) == 3  # type: ignore[operator]


READS = "n = int(input())\nprint(n + 1)\n"


@pytest.mark.parametrize(
    "answer",
    [
        f"Here is the program:\n\n{READS}\nIt adds one.",
        f"{READS}```\nThis works.",
        f"```python\n{READS}```\nIt prints for 3:\n```\n4\n```",
        f"Input\n```\n3\n```\nProgram\n```\n{READS}```\nOutput\n```\n4\n```",
        f"```python\n{READS}```\nTest it:\n```python\nprint(3 + 1)\n```",
        f"```python\n{READS}```\n```bash\npython main.py\n```",
        f"```python\nn = int(input())\nprint(0)\n```\nNo, better:\n```python\n{READS}```",
        f"1. So:\n   ```python\n{_indented(READS, '   ')}   ```",
        "n = int(input())\nn\n[print(n + one) for one in (1,)]\n",
    ],
)
def test_a_whole_program_is_found_in_any_dress(answer: str, monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("3\n"))
    exec(extract_program(answer, WHOLE) or "", {})
    assert capsys.readouterr().out == "4\n"


def test_several_blocks_are_one_program() -> None:
    answer = "```python\ndef f(n):\n    return n\n```\nand\n```python\nprint(f(int(input())))\n```"
    assert extract_program(answer, WHOLE) == "def f(n):\n    return n\n\nprint(f(int(input())))\n"


def test_a_thought_that_never_ends_holds_no_program() -> None:
    assert extract_program(f"<think>\n```python\n{FUNCTION}```", ASKED) is None


def test_marks_of_mbpp_are_taken_off() -> None:
    assert extract_program(f"[BEGIN]\n{FUNCTION}[DONE]\nmore", ASKED) == FUNCTION


@pytest.mark.parametrize("answer", ["", "   \n", "```\n```", "I do not know.", "return 3"])
def test_an_answer_without_the_function_is_no_program(answer: str) -> None:
    assert extract_program(answer, ASKED) is None


def test_a_whole_program_is_the_answer_itself_without_what_is_put_in_front() -> None:
    assert extract_program("print(input())", WHOLE) == "print(input())"
    assert extract_program("So:\n```python\nprint(1)\n```", WHOLE) == "print(1)\n"


def test_a_method_of_solution_is_called_as_one() -> None:
    leet = "class Solution:\n    def f(self, a):\n        return a\n"
    assert method_or_function(leet, "f") == "Solution.f"
    assert method_or_function(leet + "def f(a): return a\n", "f") == "f"
    assert method_or_function("def f(a): return a", "f") == "f"


def test_a_method_stays_in_its_class() -> None:
    leet = "import math\n\nclass Geometry:\n    def area(self, r):\n        return 3 * r * r\n"
    assert extract_program(f"Here:\n{leet}\nDone.", ASKED) == leet


def test_reading_without_a_task_gives_the_last_block_or_the_text() -> None:
    assert extract_code(f"a\n```\nx = 1\n```\nb\n```\n{FUNCTION}```") == FUNCTION.strip()
    assert extract_code(" x = 1 ") == "x = 1"
    assert extract_code("<think>only thought</think> ") is None


HOSTILE = [
    "(" * 200_000, "```" * 100_000, "```\n" * 60_000, "def area(" * 50_000, "def area(\n" * 40_000, " " * 500_000 + "x",
    "\n" * 500_000 + "x", "a\n" * 200_000, '"""x' * 100_001, "for for " * 50_000, "import (\n" * 50_000,
    "```python\narea = 1\n" + "lambda " * 50_000 + "\n```", "area" + "\n" * 300_000 + "x",
    "".join(f"```python\nx{n} = x{n + 1}\n```\n" for n in range(2000)) + "```python\narea = x0\n```",
    "[" * 150 + "]" * 150 + "\n" + FUNCTION, "-" * 900 + "1\n" + FUNCTION,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_text_is_read_at_once(text: str) -> None:
    start = time.process_time()
    extract_program(text, CONTINUED)
    extract_program(text, WHOLE)
    assert time.process_time() - start < 5
