"""Pointwise mutual information (PMI) of texts under a language model, and weights that fall with it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from selftrain.types import Prompt, Sampler

#: What precedes a final answer; the last match in a text counts.
_ANSWER_MARKS = re.compile(r"####|\\boxed|answer(?: is)?:?", re.IGNORECASE)


@dataclass(frozen=True)
class PmiPair:
    """How much more likely is `text` after the prompt `given` than after the prompt `alone`?"""

    text: str
    given: Prompt
    alone: Prompt


def pmi(scorer: Sampler, pairs: Sequence[PmiPair], per_token: bool) -> list[float]:
    """log p(text | given) - log p(text | alone) in nats, divided by the text's tokens where `per_token`."""
    texts = [pair.text for pair in pairs]
    given = scorer.logprob([pair.given for pair in pairs], texts)
    alone = scorer.logprob([pair.alone for pair in pairs], texts)
    sizes = scorer.num_tokens(texts) if per_token else [1] * len(texts)
    return [(with_it - without) / size for with_it, without, size in zip(given, alone, sizes, strict=True)]


def pmi_weights(
    values: Sequence[float],
    temperature: float = 1.0,
    shift: float = 0.0,
    *,
    standardize: bool = False,
    clip: Sequence[float] = (),
) -> list[float]:
    """w = sigmoid(-(pmi - shift) / temperature) in (0, 1): the more informative an answer, the smaller its weight.

    Args:
        values: PMI in nats, or nats a token.
        shift: nats subtracted from each value.
        standardize: first bring the values to mean 0 and standard deviation 1.
        clip: lowest and highest weight; empty for none.
    """
    if standardize and len(values) > 1:
        mean, deviation = fmean(values), pstdev(values)
        values = [(value - mean) / deviation if deviation else 0.0 for value in values]
    weights = [_sigmoid(-(value - shift) / temperature) for value in values]
    return [min(max(weight, clip[0]), clip[1]) for weight in weights] if clip else weights


def _sigmoid(x: float) -> float:
    """Without overflow, however large |x| is."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x)) if x > -700 else 0.0


def answer_part(text: str) -> str:
    """The text from its last answer mark ("####", "\\\\boxed", "answer is") on; its last line where there is none."""
    found = [match.start() for match in _ANSWER_MARKS.finditer(text)]
    if found:
        return " " + text[found[-1] :].strip()
    return " " + (text.strip().splitlines() or [""])[-1].strip()
