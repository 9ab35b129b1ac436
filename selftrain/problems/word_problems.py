"""Generated word problems of two to four steps: no download, no licence question, any number.

The demo, the seed models and the tests use them. A problem's *question text* decides to which of three streams it
belongs (`pretrain`, `train`, `test`), so the streams share no question, whatever the seeds: the seed models were
trained on `pretrain`, self-training samples from `train`, and every reported figure comes from `test`.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Stream = Literal["pretrain", "train", "test"]

#: Which tenths of all questions belong to each stream.
_SHARE: dict[Stream, range] = {"pretrain": range(7), "train": range(7, 9), "test": range(9, 10)}

_NAMES = "Ana Ben Cleo Dan Eva Finn Gia Hugo Ida Jon Kim Leo Mia Ned Ola Pia Quin Ron Sue Tom Uma Vic Wes Zoe".split()  # noqa: SIM905

#: A scene in which a quantity changes: its thing, opening and question, then the sentences for each operation. `{n}` is
#: the first number, `{k}` the operand.
_SCENES = """
apples | {name} has {n} apples. | How many apples are left?
+ {name} picks {k} more. / A friend brings {k}.
- {name} eats {k}. / {k} go bad.
* The tree gives {k} times as many.
/ {name} shares them among {k} and keeps one part.
books | A shelf holds {n} books. | How many books are there?
+ {name} adds {k} more. / The school brings {k}.
- {k} are lent out. / {name} takes {k}.
* A big shelf holds {k} times as many.
/ They fill {k} shelves; we look at one.
coins | {name} saves {n} coins. | How many coins are left?
+ {name} earns {k} more. / {name} finds {k}.
- {name} spends {k}. / {name} loses {k}.
* The bank makes it {k} times as much.
/ {name} shares them among {k} and keeps one part.
riders | A bus has {n} riders. | How many riders are there?
+ {k} more get on. / {k} board at the school.
- {k} get off. / {k} leave at the shop.
* The next bus has {k} times as many.
/ They fill {k} vans; we look at one.
cards | {name} owns {n} cards. | How many cards are left?
+ {name} wins {k} more. / {name} buys {k}.
- {name} gives {k} away. / {name} loses {k}.
* {name} swaps each for {k} small ones.
/ {name} makes {k} piles and keeps one.
eggs | A farm has {n} eggs. | How many eggs are there?
+ The hens lay {k} more. / {name} brings {k}.
- {k} break. / {name} cooks {k}.
* The next day gives {k} times as many.
/ They fill {k} boxes; we look at one.
pages | {name} writes {n} pages. | How many pages are there?
+ {name} adds {k} more. / A friend adds {k}.
- {name} cuts {k}. / {k} are lost.
* The book is {k} times as long.
/ The book has {k} parts; we look at one.
fish | A pond has {n} fish. | How many fish are there?
+ {name} adds {k} more. / {k} swim in.
- A bird eats {k}. / {name} sells {k}.
* In spring it has {k} times as many.
/ They fill {k} tanks; we look at one.
cups | A shop sells {n} cups. | How many cups is that?
+ It sells {k} more. / {name} buys {k}.
- {k} are sent back. / {k} break.
* On Sunday it is {k} times as many.
/ {k} days sell the same; we look at one.
miles | {name} drives {n} miles. | How many miles is one part?
+ {name} drives {k} more. / A new road adds {k}.
- A short cut saves {k}. / {name} skips {k}.
* The tour is {k} times as long.
/ {k} friends drive one part each.
stamps | {name} owns {n} stamps. | How many stamps are left?
+ {name} gets {k} more. / A friend sends {k}.
- {name} uses {k}. / {k} are lost.
* The book of {name} grows {k} times.
/ {name} fills {k} books and keeps one.
seeds | {name} plants {n} seeds. | How many seeds are there?
+ {name} plants {k} more. / {k} fall from a tree.
- Birds eat {k}. / {k} go bad.
* Each one gives {k} plants.
/ They fill {k} beds; we look at one.
"""


@dataclass(frozen=True)
class Scene:
    thing: str
    start: str
    ask: str
    #: Sentences by operation: one of "+-*/".
    changes: Mapping[str, Sequence[str]]


def _parse_scene(title: str, *changes: str) -> Scene:
    thing, start, ask = title.split(" | ")
    return Scene(thing, start, ask, {line[0]: line[2:].split(" / ") for line in changes})


_LINES = _SCENES.strip().splitlines()
SCENES = tuple(_parse_scene(*_LINES[i : i + 5]) for i in range(0, len(_LINES), 5))


@dataclass(frozen=True)
class WordProblem:
    """A question with the steps that solve it, for example `steps=((12, "+", 7, 19), (19, "*", 2, 38))`."""

    question: str
    steps: tuple[tuple[int, str, int, int], ...]
    scene: int

    @property
    def answer(self) -> int:
        return self.steps[-1][3]

    @property
    def thing(self) -> str:
        return SCENES[self.scene].thing

    @property
    def solution(self) -> str:
        """The steps and the answer in GSM8K's format: `12+7=19, 19*2=38. #### 38`."""
        work = ", ".join(f"{a}{op}{b}={c}" for a, op, b, c in self.steps)
        return f"{work}. #### {self.answer}"


def _change(rng: random.Random, value: int) -> tuple[str, int, int]:
    """(operation, operand, result) with a whole result between 1 and 150."""
    while True:
        op = rng.choices("+-*/", weights=(4, 4, 3, 2))[0]
        k = rng.randint(2, 5) if op in "*/" else rng.randint(2, 20)
        if op == "+":
            return op, k, value + k
        if op == "-" and k < value:
            return op, k, value - k
        if op == "*" and value * k <= 150:
            return op, k, value * k
        if op == "/" and value % k == 0 and value > k:
            return op, k, value // k


def _make(rng: random.Random) -> WordProblem:
    number = rng.randrange(len(SCENES))
    scene = SCENES[number]
    name = rng.choice(_NAMES)
    value = first = rng.randint(3, 20)
    lines, steps = [scene.start.format(name=name, n=first)], []
    for _ in range(rng.randint(2, 4)):
        op, k, after = _change(rng, value)
        lines.append(rng.choice(scene.changes[op]).format(name=name, k=k))
        steps.append((value, op, k, after))
        value = after
    lines.append(scene.ask.format(name=name))
    return WordProblem(" ".join(lines), tuple(steps), number)


def stream_of(question: str) -> Stream:
    """The stream of a question: a function of its text alone."""
    tenth = hashlib.blake2b(question.encode(), digest_size=4).digest()[0] % 10
    return next(stream for stream, share in _SHARE.items() if tenth in share)


def make_word_problems(stream: Stream, seed: int = 0) -> Iterator[WordProblem]:
    """An endless iterator of distinct problems of one stream, the same for the same seed."""
    rng = random.Random(f"word problems/{stream}/{seed}")
    seen: set[str] = set()
    for problem in (_make(rng) for _ in itertools.count()):
        if problem.question not in seen and stream_of(problem.question) == stream:
            seen.add(problem.question)
            yield problem
