"""Log-probabilities of answers: our scorer, and transformers in two ways, taking turns on the same work on one core.

    OMP_NUM_THREADS=1 python -m benchmarks.scoring [--repeats 3] [--prompts 8]

"naive" pads batches of 16 in the order they come and computes all logits; "sorted" sorts by length and computes the
logits of completions only. Prints completion tokens a second of processor time, ratios within a turn, and the largest
difference.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Sequence

import torch
import transformers

from benchmarks.sampling import SAMPLING, SIZES, make_model
from selftrain.engines.packed import quickest_engine
from selftrain.engines.transformers import TransformersEngine
from selftrain.loading import LoadedModel, load_model
from selftrain.problems import load_problems
from selftrain.prompts import Prompting, make_prompts
from selftrain.rendering import Renderer, Row
from selftrain.seeds import seed_model

BATCH = 16


@torch.inference_mode()
def by_transformers(loaded: LoadedModel, rows: Sequence[Row], *, is_sorted: bool) -> list[float]:
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


def measure(size: str, tokenizer: transformers.PreTrainedTokenizerBase, count: int, repeats: int) -> list[str]:
    loaded = make_model(size, tokenizer)
    renderer = Renderer(tokenizer, Prompting(), loaded.stop_ids)
    engine = quickest_engine(TransformersEngine(loaded.model, renderer, size, rows=128))
    prompts = make_prompts(load_problems("word_problems", max_problems=count))
    answers = [one for prompt in prompts for one in engine.generate([prompt], 16, SAMPLING, "benchmark", 0)]
    random.Random(0).shuffle(answers)
    asked, texts = [one.prompt for one in answers], [one.text for one in answers]
    rows = [renderer.row(prompt, text, None) for prompt, text in zip(asked, texts, strict=True)]
    ways: dict[str, Callable[[], list[float]]] = {
        "naive": lambda: by_transformers(loaded, rows, is_sorted=False),
        "sorted": lambda: by_transformers(loaded, rows, is_sorted=True),
        "ours": lambda: engine.logprob(asked, texts),
    }
    tokens, speeds = sum(row.completion_length for row in rows), {way: list[float]() for way in ways}
    found: dict[str, list[float]] = {}
    for turn in range(repeats + 1):
        for way, work in ways.items():
            began = time.process_time()
            found[way] = work()
            if turn:  # the first warms up
                speeds[way].append(tokens / (time.process_time() - began))
    apart = max(abs(a - b) for a, b in zip(found["ours"], found["naive"], strict=True))
    ratios = {way: statistics.median(a / b for a, b in zip(speeds["ours"], speeds[way], strict=True)) for way in ways}
    return [
        f"| {size} | {way} | {statistics.median(speeds[way]):,.0f} | {ratios[way]:.2f} | "
        f"{apart if way == 'ours' else 0:.1e} |"
        for way in ways
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=8)
    asked = parser.parse_args()
    tokenizer = load_model(seed_model("llama"), device="cpu").tokenizer
    lines = [line for size in SIZES for line in measure(size, tokenizer, asked.prompts, asked.repeats)]
    print(
        f"python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}; "
        f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, load {os.getloadavg()[0]:.1f}\n"
    )
    print("| model | | completion tokens a second | ours is times as fast | largest difference, nats |")
    print("|---|---|---|---|---|")
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
