r"""Extracting the answer that a completion states. Nothing is compared here.

| the text holds                                        | extracted                                           |
|-------------------------------------------------------|-----------------------------------------------------|
| `#### 72`                                             | the rest of that line                               |
| `\boxed{x}`, `\fbox{x}`, `\boxed 7`                   | the content of the balanced braces                  |
| `\boxed{1}, \boxed{2} and \boxed{3}`                  | boxes joined by a comma, `and`, `or`: one list      |
| `\boxed{1} \boxed{2}`                                 | nothing between them on their line: one list, too   |
| "The answer is x", "Answer: x", "A: x" on a new line  | x up to the end of its sentence                     |
| "Final Answer: The largest n is 34."                  | what follows the last "is": 34                      |
| `<answer>x</answer>`                                  | x                                                   |
| several of these                                      | the one that starts last                            |
| a marker with nothing after it, an empty box          | no answer (no fallback to an earlier number)        |
| a box that is never closed                            | no answer                                           |
| `<think>` ... `</think>`                              | only what follows; never closed: no answer          |
| "Question: ..." or another turn after a marked answer | ignored: the model ran on                           |
| no marker, one line                                   | its only formula, or else the whole line            |
| no marker, several lines                              | no answer: a number mentioned is not a number given |

"The whole line" is no search for a number: "Tom buys 5 more" is compared with the gold as it is, and is wrong.
Every pattern is anchored on a literal and bounded, so extraction takes time linear in the text.
"""

from __future__ import annotations

import re

#: Characters of an answer; a longer one is cut, and then is no plain number any more.
MAX_LENGTH = 1000

#: A second option letter in an answer: "(B) or (C)" and "A) B) C)" choose nothing.
ANOTHER_OPTION = re.compile(r"(?<![\w(])\(?[A-Z]\)")

_NEXT_QUESTION = re.compile(
    r"^(?:\*\*)?(?:Question|Problem|Q|User|Human)(?: \d{1,4})?(?:\*\*)?:|<\|(?:im_start|im_end|endoftext|eot_id)\|>",
    re.MULTILINE,
)
_PHRASE = re.compile(
    r"\banswers?\b[\"*_]{0,3}(?:"
    r"[ ]{0,3}[:=]"
    r"|[ ]{1,3}(?:(?:to|for|of|in)\b[^.\n:=]{0,80}?[ ])?(?:is|are|was|equals|would be|should be)\b"
    r"|[ ]{0,3}(?=\$|\\\(|\\\[)"
    r")"
    r"|^[#*_ ]{0,8}(?:final )?answer[*_ ]{0,3}(?=\n)"
    r"|^(?-i:A)[ ]{0,3}:",
    re.IGNORECASE | re.MULTILINE,
)
_BOX = re.compile(r"\\f?box(?:ed)?(?![a-zA-Z])")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_JOINT = re.compile(r"(?:[\s,;$]|and|or|\\quad|\\text\s?\{\s?(?:and|or)\s?\}|\\[()\[\]])*")
_LISTS = re.compile(r"[,;]|and|or|^[^\n]*$")
_SENTENCE_END = re.compile(r"\.(?=\s|$)|\n| \((?=[a-z]{2})")
#: One formula, with a percent sign behind it. `$3 and $4` are two prices, not a formula.
_FORMULA = re.compile(
    r"(?:\$\$[^$]+\$\$|\$[^$]+\$(?!\d)|\\\((?s:.)+?\\\)|\\\[(?s:.)+?\\\])(?:\s?(?:\\?%|percent\b|pct\b))?"
)


def extract_answer(text: str) -> str | None:
    """The answer that the text states, or None."""
    text = text.rpartition("</think>")[2]
    if "<think>" in text:
        return None
    for turn in _NEXT_QUESTION.split(text):
        marked, answer = _marked_answer(turn)
        if marked:
            return answer
    return _unmarked_answer(text.strip())


def has_marker(text: str) -> bool:
    """Whether a text marks its answer, or never ends its thought: nothing else in it is its answer then."""
    text = text.rpartition("</think>")[2]
    return "<think>" in text or any(_marked_answer(turn)[0] for turn in _NEXT_QUESTION.split(text))


def _marked_answer(text: str) -> tuple[bool, str | None]:
    """Whether there is a marker, and the answer at the last one."""
    phrase = -1
    phrase_end = -1
    for match in _PHRASE.finditer(text):
        phrase, phrase_end = match.span()
    hashes, tag = text.rfind("####"), text.rfind("<answer>")
    box = max(text.rfind(r"\boxed"), text.rfind(r"\fbox"))
    last = max(phrase, hashes, tag, box)
    if last < 0:
        return False, None
    if last == box:
        answer = _boxed_answer(text)
    elif last == hashes:
        answer = text[hashes:].lstrip("#").partition("\n")[0]
    elif last == tag:
        answer = text[tag + len("<answer>") :].partition("</answer>")[0]
    else:
        answer = _stated_answer(text[phrase_end : phrase_end + MAX_LENGTH])
    return True, _clean(answer)


def _boxed_answer(text: str) -> str:
    """The last box, with the boxes that are joined to it."""
    contents: list[str] = []
    next_start = 0
    for match in reversed(list(_BOX.finditer(text))):
        content, end = _braced(text, match.end())
        if contents:
            between = text[end:next_start]
            joined = end <= next_start and len(between) < 40 and _JOINT.fullmatch(between) and _LISTS.search(between)
            if not joined:
                break
        contents.append(content)
        next_start = match.start()
    distinct = dict.fromkeys(content.strip() for content in reversed(contents))
    return ", ".join(distinct)


def _braced(text: str, start: int) -> tuple[str, int]:
    """The content of the braces that open at `start`, and where they end; "" if they never close."""
    while text[start : start + 1] == " ":
        start += 1
    if text[start : start + 1] != "{":
        return text[start : start + 1], start + 1
    depth = 0
    for match in _BRACE.finditer(text, start, start + MAX_LENGTH):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return text[start + 1 : match.start()], match.end()
    return "", len(text)


def _stated_answer(rest: str) -> str:
    """x of "x. And so on", where x may be a display formula of several lines."""
    rest = rest.lstrip(" \t\n:=*_")
    display = _FORMULA.match(rest)
    end = display.end() if display else 0
    sentence = rest[:end] + _SENTENCE_END.split(rest[end:], maxsplit=1)[0]
    return re.split(r"\bis\b", sentence)[-1]


def _unmarked_answer(text: str) -> str | None:
    """A line that is nothing but an answer, or a line around one formula."""
    if "\n" in text or len(text) > MAX_LENGTH:
        return None
    formulas = list(_FORMULA.finditer(text))
    return _clean(formulas[0][0] if len(formulas) == 1 else text)


def _clean(answer: str) -> str | None:
    return " ".join(answer[:MAX_LENGTH].split()).strip("*_ ").rstrip(".:, ") or None
