"""Worked examples: how they are drawn."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial

from selftrain.problems.shots import published
from selftrain.protocols.base import Doc, Draw

#: lm-eval's default seed of few-shot sampling.
LM_EVAL_SEED = 1234
#: lighteval's seed of the order of documents, and of their examples.
LIGHTEVAL_SEED = 42


def no_examples() -> Draw:
    return partial(_same, lambda: ())


def fixed(name: str, columns: tuple[str, str]) -> Draw:
    """The same examples before every question: those published under `name`.

    Args:
        columns: what question and solution are called in a document.
    """
    return partial(_same, partial(_published, name, columns))


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


def _published(name: str, columns: tuple[str, str]) -> tuple[Doc, ...]:
    return tuple(dict(zip(columns, shot, strict=True)) for shot in published(name)[1])
