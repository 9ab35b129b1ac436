"""Training steps: ours, and a plain loop as trainers make it by default, taking turns on the same examples.

    OMP_NUM_THREADS=1 python -m benchmarks.training [--repeats 3]

The plain loop takes batches of 8 in the order they come, pads them, and computes the logits of every token. Prints
tokens a second (prompts included, padding not), the ratio within a turn, and the share of the measured float32 peak at
6 operations a weight and token, embeddings included.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence

import torch
import transformers

from benchmarks.sampling import SIZES, make_model, peak
from selftrain.learning.base import Learning
from selftrain.learning.step import Stepper
from selftrain.loading import LoadedModel, load_model
from selftrain.problems import load_problems
from selftrain.prompts import Prompting, make_prompts
from selftrain.rendering import Renderer, Row
from selftrain.seeds import seed_model
from selftrain.types import TrainingExample

STEPS, STEP, PLAIN = 2, 64, 8


def plain_step(loaded: LoadedModel, optimizer: torch.optim.Optimizer, rows: Sequence[Row]) -> None:
    """One optimizer step over `rows`, in batches of `PLAIN`."""
    total = sum(row.completion_length for row in rows)
    for start in range(0, len(rows), PLAIN):
        some = rows[start : start + PLAIN]
        longest = max(len(row.token_ids) for row in some)
        ids = torch.tensor([[*row.token_ids, *[0] * (longest - len(row.token_ids))] for row in some])
        mask = torch.tensor([[1] * len(row.token_ids) + [0] * (longest - len(row.token_ids)) for row in some])
        labels = ids.masked_fill(mask == 0, -100)
        for place, row in enumerate(some):
            labels[place, : row.prompt_length] = -100
        logits = loaded.model(input_ids=ids, attention_mask=mask).logits
        flat = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), reduction="sum")
        (flat / total).backward()
    torch.nn.utils.clip_grad_norm_(loaded.model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def measure(size: str, tokenizer: transformers.PreTrainedTokenizerBase, repeats: int) -> list[str]:
    loaded = make_model(size, tokenizer)
    renderer = Renderer(tokenizer, Prompting(), loaded.stop_ids)
    problems = load_problems("word_problems", max_problems=STEPS * STEP)
    examples = [
        TrainingExample(prompt, f" {problem.solution}")
        for prompt, problem in zip(make_prompts(problems), problems, strict=True)
    ]
    rows = renderer.training_rows(examples)
    optimizer = torch.optim.AdamW(loaded.model.parameters(), lr=1e-6, fused=True)
    stepper = Stepper(loaded.model, optimizer, rows, examples, Learning(), renderer.pad_id, False)
    steps = [range(start, start + STEP) for start in range(0, len(rows), STEP)]
    ways: dict[str, Callable[[], object]] = {
        "plain loop": lambda: [plain_step(loaded, optimizer, [rows[i] for i in step]) for step in steps],
        "ours": lambda: [stepper.step(step, 1e-6, "benchmark") for step in steps],
    }
    tokens, speeds = sum(len(row.token_ids) for row in rows), {way: list[float]() for way in ways}
    for turn in range(repeats + 1):
        for way, work in ways.items():
            began = time.perf_counter()
            work()
            if turn:  # the first warms up
                speeds[way].append(tokens / (time.perf_counter() - began))
    weights, most = sum(one.numel() for one in loaded.model.parameters()), peak()
    ratio = statistics.median(a / b for a, b in zip(speeds["ours"], speeds["plain loop"], strict=True))
    return [
        f"| {size} | {way} | {statistics.median(of_way):,.0f} | {ratio if way == 'ours' else 1:.2f} | "
        f"{6e-9 * weights * statistics.median(of_way) / most:.0%} |"
        for way, of_way in speeds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    tokenizer = load_model(seed_model("llama"), device="cpu").tokenizer
    lines = [line for size in SIZES for line in measure(size, tokenizer, asked.repeats)]
    print(
        f"python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}; "
        f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, load {os.getloadavg()[0]:.1f}\n"
    )
    print("| model | | tokens a second | times the plain loop | of the float32 peak |\n|---|---|---|---|---|")
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
