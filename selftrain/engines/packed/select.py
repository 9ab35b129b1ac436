"""Whether the packed engine may stand in for a model's own code: its parts are known, and the two agree."""

from __future__ import annotations

from dataclasses import replace

from selftrain.engines.base import Engine
from selftrain.engines.context import EngineContext
from selftrain.engines.packed.architecture import NotPackedError, read_architecture
from selftrain.engines.packed.engine import PackedEngine
from selftrain.engines.packed.worker_pool import WorkerPool, spare_cores
from selftrain.engines.request import GenerateRequest
from selftrain.engines.transformers import TransformersEngine
from selftrain.types import Prompt, SamplingParams

#: Nats by which the log-probability of a text may differ: rounding causes 1e-5, a mistake far more.
TOLERANCE = 1e-3
_QUESTIONS = (
    "Why?",
    "What is 2 + 3?",
    "Tom has 12 apples. He gives 5 of them to Ana and buys 3 more. How many apples does Tom have now?",
)
_GREEDY = SamplingParams(0.0, max_completion_length=12)
#: Windows of up to this many tokens are tested with a prompt that is longer.
_MAX_TESTED_WINDOW = 512


def build(context: EngineContext) -> Engine:
    """`--engine auto`."""
    wanted = context.config.sampling_processes
    count = spare_cores() if wanted is None else wanted - 1
    return fastest_engine(context.reference, None if context.on_ray else WorkerPool(context.spec, count))


def fastest_engine(reference: TransformersEngine, workers: WorkerPool | None = None) -> Engine:
    """The packed engine where it knows the model's architecture and agrees with the model; else `reference`.

    Costs about 14 forward passes over a few short prompts. The engine's `description` says which it is and why.
    """
    # Compared without bfloat16, which would add its rounding to both sides.
    exact = TransformersEngine(reference.model, reference.renderer, reference.name, batch_size=reference.batch_size)
    try:
        architecture = read_architecture(reference.model)
        check_agreement(exact, PackedEngine(exact, architecture))
    except NotPackedError as why:
        reference.reason = f", since {why}"
        return reference
    return PackedEngine(reference, architecture, workers=workers)


def check_agreement(reference: TransformersEngine, packed: PackedEngine) -> None:
    """
    Raises:
        NotPackedError: the two generate different greedy tokens, or score a text differently.
    """
    prompts = [Prompt(f"compared/{number}", question) for number, question in enumerate(_QUESTIONS)]
    request = GenerateRequest(prompts, 1, _GREEDY, "compared")
    greedy, expected = packed.generate(request), reference.generate(request)
    for ours, theirs in zip(greedy, expected, strict=True):
        if ours.token_ids != theirs.token_ids:
            raise NotPackedError(
                f"after {ours.prompt.question!r} it would write {ours.text!r} instead of {theirs.text!r}"
            )
    windows = [window for window in packed.architecture.windows.values() if window is not None]
    window = min(windows, default=_MAX_TESTED_WINDOW + 1)
    if window <= _MAX_TESTED_WINDOW and not reference.too_long([long := _longer_than(window, reference)], 64):
        prompts.append(long)
    texts = [response.text for response in greedy] + [" 2 + 3 = 5. #### 5"]
    repeated, completions = [prompt for prompt in prompts for _ in texts], texts * len(prompts)
    scores = zip(packed.logprob(repeated, completions), reference.logprob(repeated, completions), strict=True)
    apart = max(abs(ours - theirs) for ours, theirs in scores)
    if not apart <= TOLERANCE:  # written so that a NaN is caught, too
        raise NotPackedError(f"its log-probabilities would be {apart:.1g} nats off, where {TOLERANCE:g} is allowed")


def _longer_than(window: int, reference: TransformersEngine) -> Prompt:
    """By a few tokens, so that it fits into most models."""
    prompt, sums = Prompt("compared/long", ""), 0
    while len(reference.renderer.prompt_ids(prompt)) < window + 8:
        sums += 1
        prompt = replace(prompt, question=f"{prompt.question} {sums} + 1 = {sums + 1}.")
    return prompt
