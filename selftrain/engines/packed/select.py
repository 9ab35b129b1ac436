"""Whether the packed engine may answer for a model: known by its parts, then compared with the model itself."""

from __future__ import annotations

from dataclasses import replace

from selftrain.engines.base import Engine
from selftrain.engines.packed.architecture import NotPackedError, read_architecture
from selftrain.engines.packed.engine import PackedEngine
from selftrain.engines.packed.worker_pool import WorkerPool
from selftrain.engines.transformers import TransformersEngine
from selftrain.types import Prompt, SamplingParams

#: By how much the log-probability of a text may differ, in nats: rounding comes to 1e-5, a mistake to far more.
TOLERANCE = 1e-3
_QUESTIONS = (
    "Why?",
    "What is 2 + 3?",
    "Tom has 12 apples. He gives 5 of them to Ana and buys 3 more. How many apples does Tom have now?",
)
_GREEDY = SamplingParams(0.0, max_completion_length=12)
#: Windows up to this many tokens are looked past, with a prompt that is longer.
_WINDOW = 512


def quickest_engine(slow: TransformersEngine, workers: WorkerPool | None = None) -> Engine:
    """The packed engine where it knows the model's architecture and now answers as the model does; else `slow`.

    Costs about 14 forward passes over a few short prompts. `how` of the engine says which it is and why.
    """
    # bfloat16 is no part of the comparison: it would add its rounding to both sides.
    reference = TransformersEngine(slow.model, slow.renderer, slow.name, slow.rows)
    try:
        architecture = read_architecture(slow.model)
        _compare(reference, PackedEngine(reference, architecture))
    except NotPackedError as why:
        slow.reason = f", since {why}"
        return slow
    return PackedEngine(slow, architecture, workers)


def _compare(slow: TransformersEngine, packed: PackedEngine) -> None:
    """
    Raises:
        NotPackedError: the two differ.
    """
    prompts = [Prompt(f"compared/{number}", question) for number, question in enumerate(_QUESTIONS)]
    greedy, expected = (engine.generate(prompts, 1, _GREEDY, "compared", 0) for engine in (packed, slow))
    for one, other in zip(greedy, expected, strict=True):
        if one.token_ids != other.token_ids:
            raise NotPackedError(f"after {one.prompt.question!r} it would write {one.text!r} instead of {other.text!r}")
    window = min((one for one in packed.architecture.windows.values() if one is not None), default=_WINDOW + 1)
    if window <= _WINDOW and not slow.too_long([long := _longer_than(window, slow)], 64):
        prompts.append(long)
    texts = [one.text for one in greedy] + [" 2 + 3 = 5. #### 5"]
    asked = [prompt for prompt in prompts for _ in texts]
    ours, theirs = (engine.logprob(asked, texts * len(prompts)) for engine in (packed, slow))
    apart = max(abs(one - other) for one, other in zip(ours, theirs, strict=True))
    if not apart <= TOLERANCE:  # written so that it also catches a NaN
        raise NotPackedError(f"its log-probabilities would be {apart:.1g} nats off, where {TOLERANCE:g} is allowed")


def _longer_than(window: int, slow: TransformersEngine) -> Prompt:
    """By a few tokens, so that it fits into most models."""
    prompt, sums = Prompt("compared/long", ""), 0
    while len(slow.renderer.prompt_ids(prompt)) < window + 8:
        sums += 1
        prompt = replace(prompt, question=f"{prompt.question} {sums} + 1 = {sums + 1}.")
    return prompt
