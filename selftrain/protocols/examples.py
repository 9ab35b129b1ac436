"""Worked examples: how they are drawn, and the texts of those that are always the same."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.resources import files

from selftrain.protocols.base import Doc, Draw

#: lm-eval's default seed of few-shot sampling.
LM_EVAL_SEED = 1234
#: lighteval's seed of the order of documents, and of their examples.
LIGHTEVAL_SEED = 42


def no_examples() -> Draw:
    return partial(_same, lambda: ())


def fixed(name: str) -> Draw:
    """The same examples before every question, those called `name` in examples.json."""
    return partial(_same, partial(_stored, name))


def sampled(num_fewshot: int) -> Draw:
    """lm-eval's: documents in their order, and for each in turn a fresh sample of the training split."""
    return partial(_sampled, num_fewshot)


def shuffled(num_fewshot: int) -> Draw:
    """lighteval's: documents in random order, and for each in turn a fresh sample, by the same generator."""
    return partial(_shuffled, num_fewshot)


def _same(
    examples: Callable[[], Sequence[Doc]], _train: Sequence[Doc], _total: int, count: int
) -> list[tuple[int, Sequence[Doc]]]:
    shown = examples()
    return [(doc_id, shown) for doc_id in range(count)]


def _sampled(num_fewshot: int, train: Sequence[Doc], _total: int, count: int) -> list[tuple[int, Sequence[Doc]]]:
    rng = random.Random(LM_EVAL_SEED)
    return [(doc_id, rng.sample(train, num_fewshot)) for doc_id in range(count)]


def _shuffled(num_fewshot: int, train: Sequence[Doc], total: int, count: int) -> list[tuple[int, Sequence[Doc]]]:
    rng, order = random.Random(LIGHTEVAL_SEED), list(range(total))
    rng.shuffle(order)
    return [(doc_id, rng.sample(train, num_fewshot)) for doc_id in order[:count]]


@cache
def _stored(name: str) -> tuple[Doc, ...]:
    text = files("selftrain.protocols").joinpath("examples.json").read_text(encoding="utf-8")
    return tuple(json.loads(text)[name]["examples"])
