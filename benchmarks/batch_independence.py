"""How many samples depend on the batch? Those of large and of small batches must be the same.

    make bench

Each token is drawn with a number of its own, so batches can differ by the rounding of the logits alone. A sample that
differs counts as one differing draw: its first; after it the two texts are no longer the same question. Prints figures;
asserts nothing.
"""

from __future__ import annotations

import platform

import torch
import transformers

from selftrain.engines.request import GenerateRequest
from selftrain.engines.transformers import TransformersEngine
from selftrain.models.loading import load_model
from selftrain.models.prompts import PromptConfig, make_prompts
from selftrain.models.rendering import Renderer
from selftrain.models.seeds import seed_model
from selftrain.problems import load_problems
from selftrain.types import Prompt, Response, SamplingParams

PROBLEMS, SAMPLES, LARGE, SMALL = 500, 8, 256, 24
SAMPLING = SamplingParams(0.7, 40, max_completion_length=64)


def answers(engine: TransformersEngine, prompts: list[Prompt]) -> list[Response]:
    """In the order of the prompts, whatever the order of the batches."""
    found: dict[tuple[str, int], Response] = {}
    for batch in engine.plan(prompts, SAMPLES):
        request = GenerateRequest([prompts[i] for i in batch], SAMPLES, SAMPLING, "batch independence")
        for one in engine.generate(request):
            found[one.prompt.problem_id, one.sample_index] = one
    return [found[prompt.problem_id, index] for prompt in prompts for index in range(SAMPLES)]


def first_difference(one: tuple[int, ...], other: tuple[int, ...]) -> int | None:
    """The place of the first differing token; None where there is none."""
    if one == other:
        return None
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def main() -> None:
    loaded = load_model(seed_model("llama"), device="cpu")
    renderer = Renderer(loaded.tokenizer, PromptConfig(), loaded.stop_ids)
    prompts = make_prompts(load_problems("word_problems", split="test", max_problems=PROBLEMS))
    print(f"python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}, "
          f"{torch.get_num_threads()} threads")  # fmt: skip
    drawn = []
    for rows in (LARGE, LARGE, SMALL):
        engine = TransformersEngine(loaded.model, renderer, "llama", batch_size=rows)
        drawn.append(answers(engine, prompts))
        tokens = sum(len(one.token_ids) for one in drawn[-1])
        print(f"rows {rows}: {len(drawn[-1]):,} samples, {tokens:,} tokens")
    large, again, small = drawn
    # Whole answers: ids, texts and log-probabilities to the last bit.
    print(f"the same batches twice: {sum(a != b for a, b in zip(large, again, strict=True)):,} answers differ")
    places = [first_difference(a.token_ids, b.token_ids) for a, b in zip(large, small, strict=True)]
    differing = sum(place is not None for place in places)
    draws = sum(len(one.token_ids) if place is None else place + 1 for one, place in zip(large, places, strict=True))
    print(f"rows {LARGE} against rows {SMALL}: {differing:,} of {draws:,} draws differ, {1e5 * differing / draws:.2f} "
          "in 100,000")  # fmt: skip
    for a, b, place in zip(large, small, places, strict=True):
        if place is not None:
            print(f"  {a.prompt.problem_id}, sample {a.sample_index}, token {place}: {a.text!r} against {b.text!r}")
    apart = max(abs(a.logprob - b.logprob) for a, b, p in zip(large, small, places, strict=True) if p is None)
    print(f"log-probabilities of equal samples: at most {apart:.1e} nats apart")


if __name__ == "__main__":
    main()
