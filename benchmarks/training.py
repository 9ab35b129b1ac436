"""Training steps: ours, a plain loop, and TRL's SFTTrainer, taking turns on the same examples on one core.

    python -m benchmarks.training [--repeats 3] [--steps 4] [--sizes "0.9 M"]

All learn completions only, 64 examples a step. The plain loop takes batches of 8 in the order they come, pads them, and
computes the logits of every token. TRL is used as it comes, and as it was found to be fastest; as it comes it computes
in bfloat16, which some processors can only imitate, so that way gets 16 examples. Prints tokens a second of processor
time (prompts included, padding not), the ratio within a turn, and the share of the measured float32 peak at 6
operations a weight and token, embeddings included. Asserts nothing.
"""

from __future__ import annotations

import argparse
import copy
import math
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import torch

from benchmarks.models import SIZES, make_model
from benchmarks.turns import Spent, Way, here, machine, one_core, peak, rows, table, take_turns, timed
from selftrain.models.loading import LoadedModel
from selftrain.models.prompts import PromptConfig, make_prompts
from selftrain.models.rendering import Renderer, TokenizedExample
from selftrain.problems import load_problems
from selftrain.training.base import TrainingConfig, TrainingJob
from selftrain.training.gradients import GradientAccumulator
from selftrain.training.step import Stepper
from selftrain.types import TrainingExample

STEP, PLAIN, IMITATED = 64, 8, 16
OURS = "ours"
#: What is not said is TRL's default.
TRL: dict[str, dict[str, Any]] = {
    "TRL, its defaults (bfloat16, checkpointing)": {},
    "TRL, float32, no checkpointing": {"bf16": False, "gradient_checkpointing": False},
    "TRL, the same by length, 16 at once": {
        "bf16": False, "gradient_checkpointing": False, "per_device_train_batch_size": 16,
        "train_sampling_strategy": "group_by_length",
    },
}  # fmt: skip
HEAD = ("model", "", "tokens a second of CPU time", "ours is times as fast", "CPU share", "of the float32 peak")


def plain_step(loaded: LoadedModel, optimizer: torch.optim.Optimizer, rows: Sequence[TokenizedExample]) -> None:
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


def trl_way(name: str, settings: dict[str, Any], loaded: LoadedModel, trained: Sequence[TokenizedExample]) -> Way:
    """TRL on the very same token ids. Only `train` is timed, not the reading of the data."""
    if find_spec("trl") is None:
        return Way(name, None, "not installed")
    import datasets
    from transformers import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    datasets.disable_progress_bars()
    rows = datasets.Dataset.from_list(
        [
            {"input_ids": list(row.token_ids), "completion_mask": [0] * row.prompt_length + [1] * row.completion_length}
            for row in trained
        ]
    )
    tokens, steps = sum(len(row.token_ids) for row in trained), math.ceil(len(trained) / STEP)

    def turn() -> Spent:
        with tempfile.TemporaryDirectory() as folder:
            config = SFTConfig(
                output_dir=folder, num_train_epochs=1, learning_rate=1e-6, report_to=[], save_strategy="no",
                disable_tqdm=True, use_cpu=True, completion_only_loss=True, logging_strategy="no",
                gradient_accumulation_steps=STEP // settings.get("per_device_train_batch_size", 8), **settings,
            )  # fmt: skip
            trainer = SFTTrainer(
                copy.deepcopy(loaded.model), config, train_dataset=rows, processing_class=loaded.tokenizer
            )
            trainer.remove_callback(PrinterCallback)

            def work() -> int:
                done = trainer.train().global_step
                assert done == steps, done
                return tokens

            return timed(work)

    return Way(name, turn)


def measure(size: str, count: int, repeats: int) -> list[list[str]]:
    loaded = make_model(SIZES[size])
    renderer = Renderer(loaded.tokenizer, PromptConfig(), loaded.stop_ids)
    problems = load_problems("word_problems", max_problems=count * STEP)
    examples = [
        TrainingExample(prompt, f" {problem.solution}")
        for prompt, problem in zip(make_prompts(problems), problems, strict=True)
    ]
    trained = renderer.tokenize_examples(examples)
    optimizer = torch.optim.AdamW(loaded.model.parameters(), lr=1e-6, fused=True)
    job = TrainingJob(examples, TrainingConfig(), "benchmark")
    gradients = GradientAccumulator(loaded.model, job.config, renderer.pad_id)
    stepper = Stepper(gradients, optimizer, trained, job)
    steps = [range(start, start + STEP) for start in range(0, len(trained), STEP)]
    tokens = sum(len(row.token_ids) for row in trained)

    def plain() -> int:
        for step in steps:
            plain_step(loaded, optimizer, [trained[i] for i in step])
        return tokens

    def ours() -> int:
        for step in steps:
            stepper.step(step, 1e-6, "benchmark")
        return tokens

    theirs = [trl_way(name, how, loaded, trained if how else trained[:IMITATED]) for name, how in TRL.items()]
    taken = take_turns([here(OURS, ours), here("plain loop", plain), *theirs], repeats)
    weights, most = sum(one.numel() for one in loaded.model.parameters()), peak()
    return [
        [*cells, f"{6e-9 * weights * taken[name].rate / most:.0%}" if taken[name].turns else ""]
        for name, cells in rows(size, taken, OURS).items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    asked = parser.parse_args()
    one_core()
    lines = [line for size in asked.sizes for line in measure(size, asked.steps, asked.repeats)]
    print(f"\n{machine()}; {asked.steps} steps of {STEP} examples, medians of {asked.repeats} turns\n")
    print(table(HEAD, lines))


if __name__ == "__main__":
    main()
