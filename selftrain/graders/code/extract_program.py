"""The program in a completion."""

from __future__ import annotations

import builtins
import keyword
import re
import textwrap

from selftrain.graders.code.find_code import PYTHON, Block, code_runs, dedented_definition, fenced_blocks, is_code
from selftrain.graders.completion import after_thoughts
from selftrain.problems.code import CodeTask

#: Top-level lines that may follow a function. Any other ends a continuation.
_CONTINUES = re.compile(r"(def|class|import|from|async)\b|@|#|[)\]}]|\"\"\"|'''|\w+\s*(:[^=]+)?=[^=]")
_READS_INPUT = re.compile(r"\binput\s*\(|\bstdin\b|\bopen\(\s*0|fileinput")
#: The last ones of a completion; the first ones of a text without fences.
_MOST_BLOCKS = 50
_NOT_NAMES = set(keyword.kwlist) | set(dir(builtins))

_BYTE_ORDER_MARK = re.compile(r"^\ufeff", re.MULTILINE)
_END_OF_TURN = re.compile(r"<\|(?:endoftext|im_end|eot_id|end)\|>")
_FUTURE = re.compile(r"^from[ \t]+__future__[ \t]+import\b.*\n?", re.MULTILINE)

# All bounded, so that a hostile text is read in linear time.
_STRING_OR_COMMENT = re.compile(r"(['\"]{3})(?s:.*?)\1|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|#.*")
_NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_TARGETS = r"(\w[\w ,*]{0,200}?)[ \t]{0,4}(?::[^=\n]{1,200})?=(?!=)"
_DEFINED = re.compile(r"^(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)", re.MULTILINE)
_IMPORTED = re.compile(r"^[ \t]*(?:from[ \t]+[\w.]+[ \t]+)?import[ \t]+(\([^)]{0,2000}\)|.*)", re.MULTILINE)
_ASSIGNED = re.compile(rf"^{_TARGETS}", re.MULTILINE)
_BOUND_INSIDE = re.compile(
    r"\b(?:def|class)[ \t]+(\w+(?:\([^)]{0,500}\))?)|\blambda\b([^:]{0,200}):|\bfor\b(.{1,200}?)\bin\b"
    rf"|\bas[ \t]+(\w+)|(\w+)[ \t]?:=|^[ \t]{{1,100}}{_TARGETS}",
    re.MULTILINE,
)


def extract_program(text: str, task: CodeTask) -> str | None:
    """The program to run, without the code that the dataset puts in front (`task.preamble`); None if there is none.

    | the completion                                    | the program                                              |
    |---------------------------------------------------|----------------------------------------------------------|
    | fenced code                                       | the last block that defines the function; of a whole     |
    |                                                   | program the last that reads input; else the last         |
    | several blocks                                    | with those that define a name that this one needs        |
    | `[BEGIN]` ... `[DONE]` (the prompt of MBPP)       | what is between them                                     |
    | text that defines the function                    | the code around the definition, up to prose or to a      |
    |                                                   | statement behind it that defines nothing                 |
    | anything else after a question that is code       | the question, continued by the text                      |
    | anything else if a whole program is asked for     | its longest stretch of code, else the text               |

    A block is closed by a fence, or ends with the text; code before a first fence that names no language counts as one:
    the prompt may have opened it. Blocks that name another language than Python count where there are no others.
    """
    before, blocks = fenced_blocks(_answer_part(text))
    if blocks and not _opened_by_the_prompt(before, blocks, task):
        return _from_blocks(blocks, task)
    if not before.strip():
        return None
    if task.entry_point is None:
        return _whole_program(before)
    if _defines(before, task.entry_point):
        return _function(before, task.entry_point)
    # A text that never names the function can only be right as a continuation of the question.
    return task.completion_prefix + _continuation(before) if task.completion_prefix else None


def extract_code(text: str) -> str | None:
    """The code in a completion, without knowing the task."""
    text = _answer_part(text)
    _, blocks = fenced_blocks(text)
    python = [block for block in blocks if block.language in PYTHON] or blocks
    return (python[-1].code if python else text).strip() or None


def method_or_function(program: str, entry_point: str) -> str:
    """`Solution.name` if the program defines the function as a method of `class Solution`, as LeetCode asks for."""
    at_top = re.search(rf"^(async\s+)?def\s+{re.escape(entry_point)}\b", program, re.MULTILINE)
    in_class = re.search(r"^class\s+Solution\b", program, re.MULTILINE)
    return f"Solution.{entry_point}" if in_class and not at_top else entry_point


def _answer_part(text: str) -> str:
    """Without the thoughts before it, what follows the end of the turn, byte order marks, and MBPP's markers."""
    text = after_thoughts(_BYTE_ORDER_MARK.sub("", text.replace("\r\n", "\n"))) or ""
    text = _END_OF_TURN.split(text, maxsplit=1)[0]
    text = text.rpartition("[BEGIN]")[2] if "[BEGIN]" in text else text
    return text.partition("[DONE]")[0]


def _opened_by_the_prompt(before: str, blocks: list[Block], task: CodeTask) -> bool:
    """Whether the first fence closes a block that the prompt opened, so that the program stands before it."""
    if not before.strip() or blocks[0].language:
        return False
    if task.entry_point is None:
        return bool(code_runs(before)) and not any(code_runs(block.code) for block in blocks)
    if _at_margin(before, task.entry_point):
        return True
    continues = bool(task.completion_prefix) and before.lstrip("\n")[0].isspace()
    return continues and not any(_defines(block.code, task.entry_point) for block in blocks)


def _from_blocks(blocks: list[Block], task: CodeTask) -> str:
    blocks = blocks[-_MOST_BLOCKS:]
    untagged = [block for block in blocks if not block.language and code_runs(block.code)]
    usable = [block for block in blocks if block.language in PYTHON] or untagged or blocks
    if task.entry_point is None:
        wanted = [block for block in usable if _READS_INPUT.search(block.code)]
    else:
        wanted = [block for block in usable if _defines(block.code, task.entry_point)]
        wanted = wanted or [block for block in blocks if _defines(block.code, task.entry_point)]
    chosen = (wanted or usable)[-1]
    if not any(line and not line[0].isspace() for line in chosen.code.split("\n")):
        if task.completion_prefix and not wanted:
            return task.completion_prefix + chosen.code
        chosen = Block(textwrap.dedent(chosen.code))
    return _with_needed(chosen, [block for block in blocks if block in usable or block in untagged])


def _whole_program(text: str) -> str:
    """Its longest stretch of code if there is prose beside it."""
    runs = [] if is_code(text) else code_runs(text)
    return max(runs, key=len) if runs else text


def _function(text: str, entry_point: str) -> str:
    """The code around a definition in a text without fences."""
    if not _at_margin(text, entry_point):
        text = dedented_definition(text, entry_point)
    runs = code_runs(text)
    for run in runs:
        if found := _at_margin(run, entry_point):
            chosen = run[: found.start()] + _continuation(run[found.start() :])
            return _with_needed(Block(chosen), [Block(run) for run in runs[:_MOST_BLOCKS]])
    return next((run for run in runs if _defines(run, entry_point)), text)


def _with_needed(chosen: Block, blocks: list[Block]) -> str:
    """The block behind those of the others that define a name which it, or one of these, needs."""
    others = [(block, _defines_at_top(block.code)) for block in blocks if block.code != chosen.code]
    taken: list[Block] = []
    missing, known = _needs(chosen.code), _defines_at_top(chosen.code)
    while True:
        wanted = missing - known
        found = [(block, names) for block, names in others if block not in taken and names & wanted]
        if not found:
            break
        block, names = found[-1]
        taken.append(block)
        missing, known = missing | _needs(block.code), known | names
    if not taken:
        return chosen.code
    program = "\n".join([*(block.code for block in blocks if block in taken), chosen.code])
    # Python wants these first.
    return "".join(_FUTURE.findall(program)) + _FUTURE.sub("", program)


def _bare(code: str) -> str:
    """Without strings and comments."""
    return _STRING_OR_COMMENT.sub("''", code)


def _names(parts: object) -> set[str]:
    return set(_NAME.findall(str(parts)))


def _defines_at_top(code: str) -> set[str]:
    code = _bare(code)
    found = set(_DEFINED.findall(code))
    for part in (*_IMPORTED.findall(code), *_ASSIGNED.findall(code)):
        found |= _names(part)
    return found


def _needs(code: str) -> set[str]:
    """The names that a program uses and does not bind anywhere."""
    bare = _bare(code)
    bound = _defines_at_top(code)
    for groups in _BOUND_INSIDE.findall(bare):
        bound |= _names(groups)
    return _names(bare) - bound - _NOT_NAMES


def _defines(code: str, entry_point: str | None) -> bool:
    if entry_point is None:
        return False
    name = re.escape(entry_point)
    return bool(re.search(rf"^[ \t]*((async\s+)?def|class)\s+{name}\b|^{name}\s*(:[^=\n]+)?=[^=]", code, re.MULTILINE))


def _at_margin(code: str, entry_point: str) -> re.Match[str] | None:
    name = re.escape(entry_point)
    pattern = rf"^((async\s+)?def|class)\s+{name}\b|^{name}\s*(:[^=\n]+)?=[^=]|^class\s+Solution\b"
    return re.search(pattern, code, re.MULTILINE)


def _continuation(text: str) -> str:
    """The text up to the first top-level line that is neither a definition nor the like."""
    kept: list[str] = []
    for line in text.split("\n"):
        if line and not line[0].isspace() and not _CONTINUES.match(line):
            break
        kept.append(line)
    return "\n".join(kept)
