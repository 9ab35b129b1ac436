"""Which program an answer gives, told by its lines alone.

Nothing of an answer is parsed or compiled here: a text that a model wrote can bring the compiler itself down.
"""

from __future__ import annotations

import re

from selftrain.problems.code import CodeTask

_FENCED = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
#: What may follow a function on its own level: more code of the same kind. Anything else ends a continued text.
_GOES_ON = re.compile(r"(def|class|import|from|async)\b|@|#|[)\]}]|\"\"\"|'''")
_CODE_BEGINS = re.compile(r"(def|class|import|from|async)\b|@\w|#|\w+\s*=[^=]")


def program_of(text: str, task: CodeTask) -> str | None:
    """The whole program to run, with what the data set puts in front; None where the answer holds none.

    | the answer                                        | the program                                              |
    |---------------------------------------------------|----------------------------------------------------------|
    | fenced code                                       | the last block that defines the function, else the last  |
    | `[BEGIN]` ... `[DONE]` (the prompt of MBPP)       | what stands between                                      |
    | text that defines the function                    | from its first line of code on, up to the first prose    |
    | anything else to a question that is code itself   | the question and the text that goes on from it           |
    | anything else where whole programs are asked for  | the text                                                 |
    """
    text = answer_part(text)
    blocks = [block for block in _FENCED.findall(text) if block.strip()]
    if blocks:
        chosen = next((block for block in reversed(blocks) if _defines(block, task.entry_point)), blocks[-1])
        indented = not any(line and not line[0].isspace() for line in chosen.split("\n"))
        return task.continues + chosen if task.continues and indented else _joined(task, chosen)
    text = text.replace("```", "")
    if not text.strip():
        return None
    if task.entry_point is None:
        return _joined(task, text)
    if _defines(text, task.entry_point):
        return _joined(task, _code_of(text))
    # Without the question in front of it, a text that never names the function cannot be right.
    return task.continues + _continued(text) if task.continues else None


def program_text(text: str) -> str | None:
    """The program in an answer as it stands, without knowing what was asked."""
    text = answer_part(text)
    blocks = [block for block in _FENCED.findall(text) if block.strip()]
    return (blocks[-1] if blocks else text).strip() or None


def answer_part(text: str) -> str:
    """Without what was thought aloud before, and without the marks of MBPP's prompt."""
    text = text.replace("\r\n", "\n").rpartition("</think>")[2]
    text = text.rpartition("[BEGIN]")[2] if "[BEGIN]" in text else text
    return text.partition("[DONE]")[0]


def method_or_function(program: str, entry_point: str) -> str:
    """`Solution.name` where the program has the function as a method of `class Solution`, as LeetCode asks for it."""
    at_top = re.search(rf"^(async\s+)?def\s+{re.escape(entry_point)}\b", program, re.MULTILINE)
    in_class = re.search(r"^class\s+Solution\b", program, re.MULTILINE)
    return f"Solution.{entry_point}" if in_class and not at_top else entry_point


def _defines(code: str, entry_point: str | None) -> bool:
    if entry_point is None:
        return False
    name = re.escape(entry_point)
    return bool(re.search(rf"^\s*((async\s+)?def|class)\s+{name}\b|^{name}\s*=[^=]", code, re.MULTILINE))


def _joined(task: CodeTask, code: str) -> str:
    """A function that is written out anew needs the imports and helpers of the question, too."""
    return f"{task.opening.rstrip()}\n{code}" if task.opening else code


def _code_of(text: str) -> str:
    lines = text.split("\n")
    first = next((place for place, line in enumerate(lines) if _CODE_BEGINS.match(line)), 0)
    return _continued("\n".join(lines[first:]))


def _continued(text: str) -> str:
    """Up to the first line on the outermost level that no longer belongs to functions and their like."""
    kept: list[str] = []
    for line in text.split("\n"):
        if line and not line[0].isspace() and not (_GOES_ON.match(line) or _CODE_BEGINS.match(line)):
            break
        kept.append(line)
    return "\n".join(kept)
