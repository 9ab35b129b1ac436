"""Made-up word problems of two to four steps: no download, no licence question, as many as wanted.

The demo, the seed models and the tests draw from here. A problem's *question text* decides to which of
three streams it belongs (`pretrain`, `train`, `test`), so the streams share no question whatever the
seeds: the seed models were trained on `pretrain`, self-training draws from `train`, and every reported
figure comes from `test`.
"""

# ruff: noqa: E501, SIM905 -- the table of scenes is easier to read wide

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Stream = Literal["pretrain", "train", "test"]

#: Tenths of the space of questions that belong to each stream.
_SHARE: dict[Stream, range] = {"pretrain": range(7), "train": range(7, 9), "test": range(9, 10)}

_NAMES = "Ana Ben Cleo Dan Eva Finn Gia Hugo Ida Jon Kim Leo Mia Ned Ola Pia Quin Ron Sue Tom Uma Vic Wes Zoe".split()


@dataclass(frozen=True)
class Scene:
    """A little world in which quantities grow and shrink.

    `start` opens the story; each other line is one change of the running number and is said with `{k}`.
    Placeholders: `{name}`, `{n}` (the first number) and `{k}` (the change).
    """

    thing: str
    start: str
    plus: tuple[str, ...]
    minus: tuple[str, ...]
    times: tuple[str, ...]
    share: tuple[str, ...]
    ask: str


SCENES: tuple[Scene, ...] = (
    Scene("apples", "{name} has {n} apples.",
          ("{name} picks {k} more.", "A friend brings {k}."), ("{name} eats {k}.", "{k} go bad."),
          ("The tree gives {k} times as many.",), ("{name} shares them among {k} and keeps one part.",), "How many apples are left?"),
    Scene("books", "A shelf holds {n} books.",
          ("{name} adds {k} more.", "The school brings {k}."), ("{k} are lent out.", "{name} takes {k}."),
          ("A big shelf holds {k} times as many.",), ("They fill {k} shelves; we look at one.",), "How many books are there?"),
    Scene("coins", "{name} saves {n} coins.",
          ("{name} earns {k} more.", "{name} finds {k}."), ("{name} spends {k}.", "{name} loses {k}."),
          ("The bank makes it {k} times as much.",), ("{name} shares them among {k} and keeps one part.",), "How many coins are left?"),
    Scene("riders", "A bus has {n} riders.",
          ("{k} more get on.", "{k} board at the school."), ("{k} get off.", "{k} leave at the shop."),
          ("The next bus has {k} times as many.",), ("They fill {k} vans; we look at one.",), "How many riders are there?"),
    Scene("cards", "{name} owns {n} cards.",
          ("{name} wins {k} more.", "{name} buys {k}."), ("{name} gives {k} away.", "{name} loses {k}."),
          ("{name} swaps each for {k} small ones.",), ("{name} makes {k} piles and keeps one.",), "How many cards are left?"),
    Scene("eggs", "A farm has {n} eggs.",
          ("The hens lay {k} more.", "{name} brings {k}."), ("{k} break.", "{name} cooks {k}."),
          ("The next day gives {k} times as many.",), ("They fill {k} boxes; we look at one.",), "How many eggs are there?"),
    Scene("pages", "{name} writes {n} pages.",
          ("{name} adds {k} more.", "A friend adds {k}."), ("{name} cuts {k}.", "{k} are lost."),
          ("The book is {k} times as long.",), ("The book has {k} parts; we look at one.",), "How many pages are there?"),
    Scene("fish", "A pond has {n} fish.",
          ("{name} adds {k} more.", "{k} swim in."), ("A bird eats {k}.", "{name} sells {k}."),
          ("In spring it has {k} times as many.",), ("They fill {k} tanks; we look at one.",), "How many fish are there?"),
    Scene("cups", "A shop sells {n} cups.",
          ("It sells {k} more.", "{name} buys {k}."), ("{k} are sent back.", "{k} break."),
          ("On Sunday it is {k} times as many.",), ("{k} days sell the same; we look at one.",), "How many cups is that?"),
    Scene("miles", "{name} drives {n} miles.",
          ("{name} drives {k} more.", "A new road adds {k}."), ("A short cut saves {k}.", "{name} skips {k}."),
          ("The tour is {k} times as long.",), ("{k} friends drive one part each.",), "How many miles is one part?"),
    Scene("stamps", "{name} owns {n} stamps.",
          ("{name} gets {k} more.", "A friend sends {k}."), ("{name} uses {k}.", "{k} are lost."),
          ("The book of {name} grows {k} times.",), ("{name} fills {k} books and keeps one.",), "How many stamps are left?"),
    Scene("seeds", "{name} plants {n} seeds.",
          ("{name} plants {k} more.", "{k} fall from a tree."), ("Birds eat {k}.", "{k} go bad."),
          ("Each one gives {k} plants.",), ("They fill {k} beds; we look at one.",), "How many seeds are there?"),
)  # fmt: skip


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
        """The worked steps and the answer in GSM8K's manner: `12+7=19, 19*2=38. #### 38`."""
        work = ", ".join(f"{a}{op}{b}={c}" for a, op, b, c in self.steps)
        return f"{work}. #### {self.answer}"


def _change(rng: random.Random, value: int) -> tuple[str, int, int]:
    """One operation that keeps the running number whole and between 1 and 150."""
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
        says = {"+": scene.plus, "-": scene.minus, "*": scene.times, "/": scene.share}[op]
        lines.append(rng.choice(says).format(name=name, k=k))
        steps.append((value, op, k, after))
        value = after
    lines.append(scene.ask.format(name=name))
    return WordProblem(" ".join(lines), tuple(steps), number)


def stream_of(question: str) -> Stream:
    """Which stream a question belongs to: a function of its text alone."""
    tenth = hashlib.blake2b(question.encode(), digest_size=4).digest()[0] % 10
    return next(stream for stream, share in _SHARE.items() if tenth in share)


def make_word_problems(stream: Stream, seed: int = 0) -> Iterator[WordProblem]:
    """Distinct problems of one stream, without end, the same for the same seed."""
    rng = random.Random(f"word problems/{stream}/{seed}")
    seen: set[str] = set()
    for problem in (_make(rng) for _ in itertools.count()):
        if problem.question not in seen and stream_of(problem.question) == stream:
            seen.add(problem.question)
            yield problem
