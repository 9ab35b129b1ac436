"""The problems of the evidence: parts that share no question and no template, made from the data in SELFTRAIN_DATA."""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

#: Problems of the MAWPS family that are measured on; the others are there to train on.
UNSEEN = 420
#: Two questions are of one template if at least this share of their runs of three words is common to both.
SAME_TEMPLATE = 0.5
_NUMBERS = re.compile(
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|twenty|thirty|half|dozen"
)
#: Brief solutions of problems to train on, by their answers: what few-shot prompts show where form is to be out.
BRIEF = {"1": "0.75 + 0.25 = 1", "53": "95 - 42 = 53", "13": "143 / 11 = 13", "26": "65 / 2.50 = 26"}
#: MBPP's own split by task_id: 11 to 510 are its test part. Where the data have none of it, the validation part and
#: half of the training part are measured on instead.
MBPP_TEST, MBPP_HELD_OUT = range(11, 511), (range(511, 601), range(788, 975))


def make(data: Path, folder: Path) -> None:
    """Writes mawps_train, mawps_brief_train, mawps_test, mbpp_train and mbpp_test as JSON lines into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    train, test = mawps(json.loads((data / "mawps/mawps_source.json").read_text()))
    tasks = [json.loads(line) for path in sorted((data / "mbpp").glob("*.jsonl")) for line in path.open()]
    tasks_train, tasks_test = mbpp(tasks)
    parts = {
        "mawps_train": train,
        "mawps_brief_train": brief(train),
        "mawps_test": test,
        "mbpp_train": tasks_train,
        "mbpp_test": tasks_test,
    }
    for name, rows in parts.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def mawps(rows: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(to train on, to measure on): one question of each template, in a random order that is always the same."""
    one_of_each = [rows[indices[0]] for indices in templates([row["sQuestion"] for row in rows])]
    random.Random(11).shuffle(one_of_each)
    parts = [{"question": row["sQuestion"].strip(), "answer": _plain(row["lSolutions"][0])} for row in one_of_each]
    return parts[UNSEEN:], parts[:UNSEEN]


def brief(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same problems, the first of each answer in BRIEF with its solution."""
    left, found = dict(BRIEF), []
    for row in rows:
        steps = left.pop(row["answer"], None)
        found.append(row if steps is None else row | {"solution": f"{steps}\n#### {row['answer']}"})
    return found


def templates(questions: Sequence[str]) -> list[list[int]]:
    """Indices of questions that are alike once names and numbers are left out, transitively."""
    lower = Counter(word for question in questions for word in re.findall(r"[a-z]+", question))
    shingles = [_shingles(_words(question, lower)) for question in questions]
    having: defaultdict[str, list[int]] = defaultdict(list)
    parent = list(range(len(questions)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for index, own in enumerate(shingles):
        common = Counter(other for shingle in own for other in having[shingle])
        for other, count in common.items():
            if count >= SAME_TEMPLATE * len(own | shingles[other]):
                # The first question of a template stands for it.
                first, second = sorted((root(index), root(other)))
                parent[second] = first
        for shingle in own:
            having[shingle].append(index)
    found: defaultdict[int, list[int]] = defaultdict(list)
    for index in range(len(questions)):
        found[root(index)].append(index)
    return list(found.values())


def _words(question: str, lower: Counter[str]) -> Iterator[str]:
    """Numbers as 0, and words that are never written small, which are names, as N."""
    for word in re.findall(r"[A-Za-z]+|\d[\d.,/]*", question):
        if word[0].isdigit() or _NUMBERS.fullmatch(word.lower()):
            yield "0"
        else:
            yield "N" if word[0].isupper() and not lower[word.lower()] else word.lower()


def _shingles(words: Iterator[str]) -> set[str]:
    listed = list(words)
    return {" ".join(listed[start : start + 3]) for start in range(max(1, len(listed) - 2))}


def _plain(answer: float | str) -> str:
    value = float(str(answer).replace(",", ""))
    return str(int(value)) if value == int(value) else str(value)


def mbpp(rows: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(to train on, to measure on)."""
    held_out = (MBPP_TEST,) if any(row["task_id"] in MBPP_TEST for row in rows) else MBPP_HELD_OUT
    test = [row for row in rows if any(row["task_id"] in part for part in held_out)]
    return [row for row in rows if row["task_id"] > 600 and row not in test], test
