"""The text the seed models are trained on: solutions as people post them, good and bad.

A base model can only gain from its own answers if it *can* do more than it *does*. So the writers of this
corpus have habits a checker can see and a model can unlearn:

* some answer at once, without steps: often in a few scenes, seldom in the others, more often the longer
  the problem. A model this small cannot do three steps in its head, so those answers are mostly wrong. The
  scenes differ from seed to seed: where one is hasty another is not, so they have something to tell each other;
* one solution in four has a slip: a wrong number, carried forward;
* solutions come in three right forms, so that no single text is *the* answer;
* a third of the texts are discussions: one or two solutions posted by others, good and bad, and then a final
  one, worked out more often where a posted one is, and right more often where a posted one is right. They
  teach a model to read its peers.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from selftrain.problems.word_problems import WordProblem, make_word_problems

#: Scenes in which the writers of a corpus answer at once; one set for each seed model.
HASTY_SCENES = {1: frozenset({2, 5, 9}), 2: frozenset({1, 4, 7}), 3: frozenset({0, 3, 11})}
HASTY_SHARE = 0.5
CALM_SHARE_PER_STEP = 0.06
SLIP_SHARE = 0.25
DISCUSSION_SHARE = 0.35


@dataclass(frozen=True)
class Text:
    """A prompt in one of the shapes a model will meet, and the completion it is to write."""

    prompt: str
    completion: str


def _slip(problem: WordProblem, rng: random.Random) -> tuple[tuple[int, str, int, int], ...]:
    """The steps with one wrong result, carried forward."""
    wrong_at, steps, carried = rng.randrange(len(problem.steps)), [], None
    for number, (a, op, b, result) in enumerate(problem.steps):
        a = a if carried is None else carried
        result = {"+": a + b, "-": a - b, "*": a * b, "/": a // b}[op]
        if number == wrong_at:
            result = max(0, result + rng.choice((-10, -2, -1, 1, 2, 10)))
        carried = result
        steps.append((a, op, b, result))
    return tuple(steps)


def write_solution(
    problem: WordProblem, rng: random.Random, hasty_scenes: frozenset[int], slip_share: float = SLIP_SHARE,
    hasty_share: float = HASTY_SHARE,
) -> tuple[str, bool]:  # fmt: skip
    """One posted solution and whether its answer is right."""
    steps = _slip(problem, rng) if rng.random() < slip_share else problem.steps
    answer = steps[-1][3]
    right = answer == problem.answer
    hasty = hasty_share if problem.scene in hasty_scenes else CALM_SHARE_PER_STEP * (len(steps) - 1)
    if rng.random() < hasty:
        return f" #### {answer}", right
    sums = [f"{a}{op}{b}={c}" for a, op, b, c in steps]
    form = rng.choices(("list", "first", "thing"), weights=(5, 3, 2))[0]
    if form == "list":
        work = ", ".join(sums)
    elif form == "first":
        work = "First " + ", then ".join(sums)
    else:
        work = ", ".join(f"{s} {problem.thing}" for s in sums)
    return f" {work}. #### {answer}", right


def write_text(problem: WordProblem, rng: random.Random, hasty_scenes: frozenset[int]) -> Text:
    question = f"Question: {problem.question}\n"
    if rng.random() >= DISCUSSION_SHARE:
        return Text(question + "Answer:", write_solution(problem, rng, hasty_scenes)[0])
    authors = rng.choices(tuple(HASTY_SCENES.values()), k=rng.randint(1, 2))
    posts = [write_solution(problem, rng, author, slip_share=0.4) for author in authors]
    one_is_right = any(right for _, right in posts)
    one_is_worked = any("=" in text for text, _ in posts)
    final, _ = write_solution(
        problem, rng, hasty_scenes, slip_share=0.08 if one_is_right else 0.35, hasty_share=0.1 if one_is_worked else 0.5
    )
    shown = "".join(f"Posted:{text}\n" for text, _ in posts)
    return Text(question + shown + "Answer:", final)


def write_corpus(texts: int, seed: int) -> Iterator[Text]:
    rng = random.Random(f"corpus/{seed}")
    problems = make_word_problems("pretrain", seed)
    for _ in range(texts):
        yield write_text(next(problems), rng, HASTY_SCENES[seed])
