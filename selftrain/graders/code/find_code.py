"""Where the code is in a text: fenced blocks, and runs of code between prose.

What is parsed here is one statement's first logical line, and of at most 1,000 characters: a longer text that a model
wrote can crash the compiler itself.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from dataclasses import dataclass

_FENCE = re.compile(r"([ \t]*)((?:[-*+]|\d{1,3}[.)])[ \t]+)?(`{3,}|~{3,})[ \t]*(.*)$")
_ONE_LINE = re.compile(r"[ \t]*```(?:python3?|py)?[ \t]*([^`]+)```[ \t]*$")
PYTHON = {"python", "python3", "python2", "py", "py3", "ipython", "ipython3"}
#: A fence with one of these opens a block, even where the one before was never closed.
_LANGUAGES = PYTHON | {
    *("bash", "sh", "shell", "console", "text", "txt", "plaintext", "output", "json", "yaml", "markdown", "sql"),
    *("java", "c", "cpp", "c++", "javascript", "js", "typescript"),
}
_LONGEST_LINE, _MOST_STATEMENTS = 1000, 3000

_DEFINITION = re.compile(r"(async\s+)?def\s+\w+\s*[\[(]|class\s+\w+\s*[:(\[]|@\w")
_HEADER = re.compile(r"(async\s+)?(for|while|with|if)\b")
#: They are no statements without what follows in other lines.
_PART = re.compile(r"try\s*:|match\s[^:]+:\s*(#.*)?$")
_NEXT_PART = re.compile(r"(elif\b.*|else\s*|except\b.*|finally\s*):")
_NEW_STATEMENT = re.compile(r"(def|class|import|from)\b")
#: Strings, comments and brackets: what decides whether a statement goes on in the next line.
_TOKEN = re.compile(r"'''|\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|#.*|[()\[\]{}]")


@dataclass(frozen=True)
class Block:
    code: str
    #: In lower case; "" if the fence names none that is known.
    language: str = ""


def fenced_blocks(text: str) -> tuple[str, list[Block]]:
    """The text before the first fence, and the blocks, each without the indentation of its fence.

    A fence is closed by one that is at least as long and at most three columns further in, so that neither a fence in a
    docstring nor shorter fences inside end it. Where there is none, the next fence of any kind closes it.
    """
    lines = text.split("\n")
    found: list[Block] = []
    number, before = 0, len(lines)
    while number < len(lines):
        fence = _FENCE.match(lines[number])
        if fence is None:
            number += 1
            continue
        if one_line := _ONE_LINE.match(lines[number]):
            found.append(Block(one_line[1]))
            end = number
        else:
            end, opens_next = _end_of_block(lines, number, fence)
            found.append(_block(fence, lines[number + 1 : end]))
            end -= opens_next
        before, number = min(before, number), end + 1
    return "\n".join(lines[:before]), [block for block in found if block.code.strip()]


def _end_of_block(lines: list[str], start: int, fence: re.Match[str]) -> tuple[int, bool]:
    """The line that closes a block, and whether it opens the next one as well."""
    column, deeper = len(fence[1] + (fence[2] or "")), None
    for number in range(start + 1, len(lines)):
        other = _FENCE.match(lines[number]) if fence[3][0] in lines[number] else None
        if other is None or other[3][0] != fence[3][0] or len(other[3]) < len(fence[3]):
            continue
        if len(other[1]) <= column + 3:
            return number, bool(_language(other[4]))
        deeper = deeper or number
    return deeper or len(lines), False


def _block(fence: re.Match[str], lines: list[str]) -> Block:
    column = len(fence[1] + (fence[2] or "").expandtabs(4))
    if column:
        lines = [line[min(column, len(line) - len(line.lstrip())) :] for line in lines]
    language = _language(fence[4])
    if _DEFINITION.match(fence[4]):  # the code begins on the line of the fence
        lines = [fence[4], *lines]
    return Block("\n".join([*lines, ""]), language)


def _language(info: str) -> str:
    name = re.split(r"[\s,:{}]", info.strip().strip("{.}"), maxsplit=1)[0].lower()
    return name if name in _LANGUAGES else ""


def code_runs(text: str) -> list[str]:
    """The parts of a text that are code, each as long as no prose comes between.

    If the code is indented as a whole, as in a list, its indentation is taken off.
    """
    lines = text.split("\n")
    runs: list[list[str]] = [[]]
    number = statements = 0
    while number < len(lines) and statements < _MOST_STATEMENTS:
        line, statements = lines[number], statements + bool(lines[number].strip())
        size = 1
        if line.strip():
            size = _statement(lines, number, follows=bool(runs[-1]))
        if size and (runs[-1] or line.strip()):
            runs[-1] += lines[number : number + size]
        elif not size and runs[-1]:
            runs.append([])
        number += size or 1
    return ["\n".join(run).rstrip() + "\n" for run in runs if any(line.strip() and line[0] != "#" for line in run)]


def is_code(text: str) -> bool:
    """Whether no line of a text is prose. Bare names may be either."""
    lines = text.split("\n")
    number = statements = 0
    while number < len(lines) and statements < _MOST_STATEMENTS:
        statements += bool(lines[number].strip())
        size = _statement(lines, number, follows=True) if lines[number].strip() else 1
        if not size and not _parses(lines[number]):
            return False
        number += size or 1
    return True


def dedented_definition(text: str, entry_point: str) -> str:
    """The indented lines around a definition without their indentation: Markdown's code without fences."""
    found = re.search(rf"^([ \t]+)(async\s+)?def\s+{re.escape(entry_point)}\b", text, re.MULTILINE)
    if found is None:
        return text
    lines = text.split("\n")
    first = last = text.count("\n", 0, found.start())
    while first > 0 and (lines[first - 1].startswith(found[1]) or not lines[first - 1].strip()):
        first -= 1
    if first > 0 and _DEFINITION.match(lines[first - 1].lstrip()):  # a method, or a function within another
        return text
    while last + 1 < len(lines) and (lines[last + 1].startswith(found[1]) or not lines[last + 1].strip()):
        last += 1
    return textwrap.dedent("\n".join(lines[first : last + 1])).strip("\n") + "\n"


def _statement(lines: list[str], start: int, follows: bool) -> int:
    """How many lines the statement takes that begins here at the margin; 0 if this is no code."""
    line = lines[start]
    if line[0] in " \t":
        return 0
    if line[0] == "#":
        return 1
    size = _logical_line(lines, start)
    logical = "\n".join(lines[start : start + size])
    header = _DEFINITION.match(line) or _PART.match(line) or (follows and _NEXT_PART.match(line))
    if not header and _HEADER.match(line):
        if not (_parses(f"{logical} pass") or _parses(logical)):
            return 0
    elif not header:
        return size if _is_simple(logical) else 0
    end = start + size
    while end < len(lines) and (not lines[end].strip() or lines[end][0] in " \t"):
        end += _logical_line(lines, end)
    return end - start


def _logical_line(lines: list[str], start: int) -> int:
    """The lines up to the one in which all brackets and long strings are closed."""
    depth, quotes = 0, ""
    for number in range(start, min(start + 200, len(lines))):
        line, position = lines[number], 0
        if depth > 0 and not quotes and _NEW_STATEMENT.match(line):
            return 1  # never closed
        while found := _TOKEN.search(line, position):
            token, position = found[0], found.end()
            if quotes:
                end = line.find(quotes, found.start())
                position = len(line) if end < 0 else end + 3
                quotes = quotes if end < 0 else ""
            elif token in ("'''", '"""'):
                quotes = token
            else:
                depth += (token in "([{") - (token in ")]}")
        if depth <= 0 and not quotes and not line.endswith("\\"):
            return number - start + 1
    return 1


def _is_simple(logical: str) -> bool:
    """Whether it is a statement in one logical line. A bare name, or names with operators, may be prose."""
    if re.match(r"\w+\s+\(", logical) or not (tree := _parses(logical)):
        return False
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and node.value is None:
            return False
        telling = (ast.Call, ast.ListComp, ast.Await)
        if isinstance(node, ast.Expr) and not any(isinstance(inner, telling) for inner in ast.walk(node)):
            return logical.startswith(('"""', "'''", 'r"""'))
    return bool(tree.body)


def _parses(code: str) -> ast.Module | None:
    if len(code) > _LONGEST_LINE:
        return ast.Module([ast.Pass()], []) if re.match(r"[\w.]+(\s*=|\()", code) else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
