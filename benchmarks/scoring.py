"""Log-probabilities of answers: our scorer, and transformers in two ways, taking turns on the same work on one core.

    python -m benchmarks.scoring [--repeats 3] [--prompts 8]

"naive" pads batches of 16 in the order they come and computes all logits; "sorted" sorts by length and computes the
logits of completions only. Prints completion tokens a second of processor time, ratios within a turn, and the largest
difference from the naive way.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence
from functools import partial

import torch

from benchmarks.models import SAMPLING, SIZES, make_model
from benchmarks.turns import here, machine, one_core, rows, table, take_turns
from selftrain.engines.packed import fastest_engine
from selftrain.engines.request import GenerateRequest
from selftrain.engines.transformers import TransformersEngine
from selftrain.models.loading import LoadedModel
from selftrain.models.prompts import PromptConfig, make_prompts
from selftrain.models.rendering import Renderer, TokenizedExample
from selftrain.problems import load_problems

BATCH = 16
OURS = "ours"
HEAD = (
    "model", "", "completion tokens a second of CPU time", "ours is times as fast", "CPU share",
    "largest difference of a text, nats",
)  # fmt: skip


@torch.inference_mode()
def by_transformers(loaded: LoadedModel, rows: Sequence[TokenizedExample], *, is_sorted: bool) -> list[float]:
    order = sorted(range(len(rows)), key=lambda i: len(rows[i].token_ids)) if is_sorted else range(len(rows))
    found = [0.0] * len(rows)
    for start in range(0, len(rows), BATCH):
        some = list(order[start : start + BATCH])
        longest = max(len(rows[i].token_ids) for i in some)
        ids = torch.tensor([[*rows[i].token_ids, *[0] * (longest - len(rows[i].token_ids))] for i in some])
        first = min(rows[i].prompt_length for i in some) - 1 if is_sorted else 0
        kept = torch.arange(first, longest - 1) if is_sorted else 0
        logits = loaded.model(input_ids=ids[:, :-1], logits_to_keep=kept).logits.float().log_softmax(-1)
        picked = logits.gather(-1, ids[:, first + 1 :, None]).squeeze(-1)
        for place, i in enumerate(some):
            found[i] = float(
                picked[place, rows[i].prompt_length - 1 - first : len(rows[i].token_ids) - 1 - first].sum()
            )
    return found


def measure(size: str, count: int, repeats: int) -> list[list[str]]:
    loaded = make_model(SIZES[size])
    renderer = Renderer(loaded.tokenizer, PromptConfig(), loaded.stop_ids)
    engine = fastest_engine(TransformersEngine(loaded.model, renderer, size, batch_size=128))
    prompts = make_prompts(load_problems("word_problems", max_problems=count))
    requests = [GenerateRequest([prompt], 16, SAMPLING, "benchmark") for prompt in prompts]
    answers = [response for request in requests for response in engine.generate(request)]
    random.Random(0).shuffle(answers)
    asked, texts = [one.prompt for one in answers], [one.text for one in answers]
    scored = renderer.tokenize_completions(asked, texts)
    works: dict[str, Callable[[], list[float]]] = {
        "naive": lambda: by_transformers(loaded, scored, is_sorted=False),
        "sorted": lambda: by_transformers(loaded, scored, is_sorted=True),
        OURS: lambda: engine.logprob(asked, texts),
    }
    tokens, found = sum(row.completion_length for row in scored), dict[str, list[float]]()

    def score(name: str) -> int:
        found[name] = works[name]()
        return tokens

    taken = take_turns([here(name, partial(score, name)) for name in works], repeats)
    apart = {name: max(abs(a - b) for a, b in zip(found[name], found["naive"], strict=True)) for name in works}
    return [[*cells, f"{apart[name]:.1e}"] for name, cells in rows(size, taken, OURS).items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=8)
    asked = parser.parse_args()
    one_core()
    lines = [line for size in SIZES for line in measure(size, asked.prompts, asked.repeats)]
    print(f"\n{machine()}; {asked.prompts} prompts, 16 answers each, medians of {asked.repeats} turns\n")
    print(table(HEAD, lines))


if __name__ == "__main__":
    main()
