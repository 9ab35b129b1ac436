"""Pointwise mutual information between texts, as a language model sees it, and weights made from it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from selftrain.types import Prompt, Sampler

#: What stands before a final answer; the last one in a text counts.
_MARKS = re.compile(r"####|\\boxed|answer(?: is)?:?", re.IGNORECASE)


@dataclass(frozen=True)
class PmiPair:
    """How much does it say about `text` to be shown `given` rather than `alone`?"""

    text: str
    given: Prompt
    alone: Prompt


def pmi(scorer: Sampler, questions: Sequence[PmiPair], per_token: bool) -> list[float]:
    """log p(text | given) - log p(text | alone) in nats, divided by the text's tokens where `per_token`."""
    texts = [question.text for question in questions]
    given = scorer.logprob([question.given for question in questions], texts)
    alone = scorer.logprob([question.alone for question in questions], texts)
    sizes = scorer.num_tokens(texts) if per_token else [1] * len(texts)
    return [(one - other) / size for one, other, size in zip(given, alone, sizes, strict=True)]


def pmi_weights(
    values: Sequence[float],
    temperature: float = 1.0,
    shift: float = 0.0,
    standardize: bool = False,
    clip: Sequence[float] = (),
) -> list[float]:
    """sigmoid(-(pmi - shift) / temperature): the less an answer says, the larger its weight; in (0, 1)."""
    if standardize and len(values) > 1:
        mean, spread = fmean(values), pstdev(values)
        values = [(value - mean) / spread if spread else 0.0 for value in values]
    weights = [_sigmoid(-(value - shift) / temperature) for value in values]
    return [min(max(weight, clip[0]), clip[1]) for weight in weights] if clip else weights


def _sigmoid(x: float) -> float:
    """Without overflow, however large `x` is."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x)) if x > -700 else 0.0


def answer_part(text: str) -> str:
    """The text from the mark of its final answer on; its last line where there is no mark."""
    found = [match.start() for match in _MARKS.finditer(text)]
    if found:
        return " " + text[found[-1] :].strip()
    return " " + (text.strip().splitlines() or [""])[-1].strip()
