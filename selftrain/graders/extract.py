r"""Finding the answer that a completion states. Nothing is compared here.

| what the text holds                                   | what is read                                        |
|-------------------------------------------------------|-----------------------------------------------------|
| `#### 72`                                             | the rest of that line                               |
| `\boxed{x}`, `\fbox{x}`, `\boxed 7`                   | what is inside the balanced braces                  |
| `\boxed{1}, \boxed{2} and \boxed{3}`                  | boxes joined by a comma, `and`, `or`: one list      |
| `\boxed{1} \boxed{2}`                                 | nothing between them on their line: one list, too   |
| "The answer is x", "Answer: x", "A: x" on a new line  | x up to the end of its sentence                     |
| "Final Answer: The largest n is 34."                  | what follows the last "is": 34                      |
| `<answer>x</answer>`                                  | x                                                   |
| several of these                                      | the one that starts last: the last word counts      |
| a marker with nothing after it, an empty box          | no answer (no falling back to an earlier number)    |
| a box that is never closed                            | no answer                                           |
| `<think>` ... `</think>`                              | only what follows; never closed: no answer          |
| "Question: ..." or another turn after a marked answer | nothing of it: the model ran on                     |
| no marker, one line                                   | its only formula, or else the whole line            |
| no marker, several lines                              | no answer: a number mentioned is not a number given |

"The whole line" is not a search for a number: "Tom buys 5 more" is compared with the gold as it stands, and
is wrong. Every pattern below is anchored on a literal and bounded, so reading is linear in the text.
"""

from __future__ import annotations

import re

#: Longest answer that is read; what is longer is cut, and then is no plain number any more.
LONGEST = 1000

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
#: One formula, with the percent sign that may stand behind it. `$3 and $4` are two prices, not a formula.
_FORMULA = re.compile(
    r"(?:\$\$[^$]+\$\$|\$[^$]+\$(?!\d)|\\\((?s:.)+?\\\)|\\\[(?s:.)+?\\\])(?:\s?(?:\\?%|percent\b|pct\b))?"
)


def read_answer(text: str) -> str | None:
    """The answer that the text states, or None."""
    text = text.rpartition("</think>")[2]
    if "<think>" in text:
        return None
    for turn in _NEXT_QUESTION.split(text):
        marked, answer = _read_marked(turn)
        if marked:
            return answer
    return _read_unmarked(text.strip())


def has_marker(text: str) -> bool:
    """Whether a text marks its answer, or thinks of one without end: then nothing else in it is its answer."""
    said = text.rpartition("</think>")[2]
    return "<think>" in said or any(_read_marked(turn)[0] for turn in _NEXT_QUESTION.split(said))


def _read_marked(text: str) -> tuple[bool, str | None]:
    """Whether there is a marker, and the answer at the last one."""
    phrase = -1
    stated = -1
    for match in _PHRASE.finditer(text):
        phrase, stated = match.span()
    hashes, tag = text.rfind("####"), text.rfind("<answer>")
    box = max(text.rfind(r"\boxed"), text.rfind(r"\fbox"))
    last = max(phrase, hashes, tag, box)
    if last < 0:
        return False, None
    if last == box:
        answer = _read_boxes(text)
    elif last == hashes:
        answer = text[hashes:].lstrip("#").partition("\n")[0]
    elif last == tag:
        answer = text[tag + len("<answer>") :].partition("</answer>")[0]
    else:
        answer = _read_statement(text[stated : stated + LONGEST])
    return True, _clean(answer)


def _read_boxes(text: str) -> str:
    """The last box, with the boxes that are joined to it."""
    contents: list[str] = []
    start_of_next = 0
    for match in reversed(list(_BOX.finditer(text))):
        content, end = _inside(text, match.end())
        if contents:
            between = text[end:start_of_next]
            joined = end <= start_of_next and len(between) < 40 and _JOINT.fullmatch(between) and _LISTS.search(between)
            if not joined:
                break
        contents.append(content)
        start_of_next = match.start()
    distinct = dict.fromkeys(content.strip() for content in reversed(contents))
    return ", ".join(distinct)


def _inside(text: str, at: int) -> tuple[str, int]:
    """What the braces that open at `at` hold, and where they end; "" where they never close."""
    while text[at : at + 1] == " ":
        at += 1
    if text[at : at + 1] != "{":
        return text[at : at + 1], at + 1
    depth = 0
    for match in _BRACE.finditer(text, at, at + LONGEST):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return text[at + 1 : match.start()], match.end()
    return "", len(text)


def _read_statement(rest: str) -> str:
    """x of "x. And so on", where x may be a display that runs over several lines."""
    rest = rest.lstrip(" \t\n:=*_")
    display = _FORMULA.match(rest)
    end = display.end() if display else 0
    sentence = rest[:end] + _SENTENCE_END.split(rest[end:], maxsplit=1)[0]
    return re.split(r"\bis\b", sentence)[-1]


def _read_unmarked(text: str) -> str | None:
    """A line that is nothing but an answer, or a line around one formula."""
    if "\n" in text or len(text) > LONGEST:
        return None
    formulas = list(_FORMULA.finditer(text))
    return _clean(formulas[0][0] if len(formulas) == 1 else text)


def _clean(answer: str) -> str | None:
    return " ".join(answer[:LONGEST].split()).strip("*_ ").rstrip(".:, ") or None
