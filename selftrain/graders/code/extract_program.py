"""The program in a completion, found by its lines alone.

Nothing is parsed or compiled here: a text that a model wrote can crash the compiler itself.
"""

from __future__ import annotations

import re

from selftrain.problems.code import CodeTask

_FENCED = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
#: Top-level lines that may follow a function. Any other ends a continuation.
_CONTINUES = re.compile(r"(def|class|import|from|async)\b|@|#|[)\]}]|\"\"\"|'''")
_CODE_BEGINS = re.compile(r"(def|class|import|from|async)\b|@\w|#|\w+\s*=[^=]")


def extract_program(text: str, task: CodeTask) -> str | None:
    """The whole program to run, with the code that the dataset puts in front; None if there is none.

    | the completion                                    | the program                                              |
    |---------------------------------------------------|----------------------------------------------------------|
    | fenced code                                       | the last block that defines the function, else the last  |
    | `[BEGIN]` ... `[DONE]` (the prompt of MBPP)       | what is between them                                     |
    | text that defines the function                    | from its first line of code up to the first prose        |
    | anything else after a question that is code       | the question, continued by the text                      |
    | anything else if a whole program is asked for     | the text                                                 |
    """
    text = _answer_part(text)
    blocks = [block for block in _FENCED.findall(text) if block.strip()]
    if blocks:
        chosen = next((block for block in reversed(blocks) if _defines(block, task.entry_point)), blocks[-1])
        indented = not any(line and not line[0].isspace() for line in chosen.split("\n"))
        return task.completion_prefix + chosen if task.completion_prefix and indented else _with_preamble(task, chosen)
    text = text.replace("```", "")
    if not text.strip():
        return None
    if task.entry_point is None:
        return _with_preamble(task, text)
    if _defines(text, task.entry_point):
        return _with_preamble(task, _continuation(_from_first_code(text)))
    # A text that never names the function can only be right as a continuation of the question.
    return task.completion_prefix + _continuation(text) if task.completion_prefix else None


def extract_code(text: str) -> str | None:
    """The code in a completion, without knowing the task."""
    text = _answer_part(text)
    blocks = [block for block in _FENCED.findall(text) if block.strip()]
    return (blocks[-1] if blocks else text).strip() or None


def _answer_part(text: str) -> str:
    """Without the thought before it and without the markers of MBPP's prompt."""
    text = text.replace("\r\n", "\n").rpartition("</think>")[2]
    text = text.rpartition("[BEGIN]")[2] if "[BEGIN]" in text else text
    return text.partition("[DONE]")[0]


def method_or_function(program: str, entry_point: str) -> str:
    """`Solution.name` if the program defines the function as a method of `class Solution`, as LeetCode asks for."""
    at_top = re.search(rf"^(async\s+)?def\s+{re.escape(entry_point)}\b", program, re.MULTILINE)
    in_class = re.search(r"^class\s+Solution\b", program, re.MULTILINE)
    return f"Solution.{entry_point}" if in_class and not at_top else entry_point


def _defines(code: str, entry_point: str | None) -> bool:
    if entry_point is None:
        return False
    name = re.escape(entry_point)
    return bool(re.search(rf"^\s*((async\s+)?def|class)\s+{name}\b|^{name}\s*=[^=]", code, re.MULTILINE))


def _with_preamble(task: CodeTask, code: str) -> str:
    """A function written out whole needs the imports and helpers of the question, too."""
    return f"{task.preamble.rstrip()}\n{code}" if task.preamble else code


def _from_first_code(text: str) -> str:
    lines = text.split("\n")
    first = next((i for i, line in enumerate(lines) if _CODE_BEGINS.match(line)), 0)
    return "\n".join(lines[first:])


def _continuation(text: str) -> str:
    """The text up to the first top-level line that is neither a definition nor the like."""
    kept: list[str] = []
    for line in text.split("\n"):
        if line and not line[0].isspace() and not (_CONTINUES.match(line) or _CODE_BEGINS.match(line)):
            break
        kept.append(line)
    return "\n".join(kept)
