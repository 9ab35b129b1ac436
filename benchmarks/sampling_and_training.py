"""Our sampling loop against `transformers.generate`, side by side and alternating in one process; and training.

    make bench

Prints medians and ratios; asserts nothing. Tokens are useful ones only: what stands after an end token does not count.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable

import torch
import transformers

from selftrain.engines.transformers import TransformersEngine
from selftrain.learning.base import Learning
from selftrain.learning.trainer import TransformersTrainer
from selftrain.loading import LoadedModel, load_model
from selftrain.problems import load_problems
from selftrain.prompts import Prompting, make_prompts
from selftrain.rendering import Renderer
from selftrain.seeds import seed_model
from selftrain.types import Prompt, Response, Sampling, TrainingExample

PROMPTS, SAMPLES, REPEATS = 32, 16, 5
SAMPLING = Sampling(0.7, 40, max_completion_length=64)


def ours(engine: TransformersEngine, prompts: list[Prompt]) -> int:
    return sum(len(r.token_ids) for r in answers(engine, prompts))


def answers(engine: TransformersEngine, prompts: list[Prompt]) -> list[Response]:
    units = engine.plan(prompts, SAMPLES)
    return [r for unit in units for r in engine.generate([prompts[i] for i in unit], SAMPLES, SAMPLING, "bench", 0)]


@torch.inference_mode()
def theirs(loaded: LoadedModel, renderer: Renderer, prompts: list[Prompt]) -> int:
    """One prompt a call, its samples as one batch: the fastest of generate's settings on a small CPU."""
    tokens = 0
    for prompt in prompts:
        ids = torch.tensor([renderer.prompt_ids(prompt)])
        out = loaded.model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=True, temperature=0.7, top_k=40,
            num_return_sequences=SAMPLES, max_new_tokens=SAMPLING.max_completion_length,
        )  # fmt: skip
        for row in out[:, ids.shape[1] :].tolist():
            tokens += next((i + 1 for i, token in enumerate(row) if token in renderer.stop_ids), len(row))
    return tokens


def timed(work: Callable[[], int]) -> float:
    """Tokens a second."""
    began = time.perf_counter()
    return work() / (time.perf_counter() - began)


def main() -> None:
    loaded = load_model(seed_model("llama"), device="cpu")
    renderer = Renderer(loaded.tokenizer, Prompting(), loaded.stop_ids)
    engine = TransformersEngine(loaded.model, renderer, "llama", rows=256)
    prompts = make_prompts(load_problems("word_problems", max_problems=PROMPTS))
    arms: dict[str, Callable[[], int]] = {
        "selftrain": lambda: ours(engine, prompts),
        "transformers generate": lambda: theirs(loaded, renderer, prompts),
    }
    print(f"python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}, "
          f"{torch.get_num_threads()} threads")  # fmt: skip
    speeds: dict[str, list[float]] = {name: [] for name in arms}
    for repeat in range(REPEATS + 1):
        for name, work in arms.items():
            speed = timed(work)
            if repeat:  # the first is a warm-up
                speeds[name].append(speed)
    for name, found in speeds.items():
        print(f"sampling, {name}: {statistics.median(found):,.0f} tokens/s (median of {REPEATS})")
    ratios = [a / b for a, b in zip(*speeds.values(), strict=True)]
    print(f"sampling, ratio: {statistics.median(ratios):.2f} (median of pairs; {min(ratios):.2f} to {max(ratios):.2f})")
    examples = [TrainingExample(r.prompt, r.text, r.token_ids) for r in answers(engine, prompts)]
    trainer = TransformersTrainer(loaded.model, renderer)
    tokens = sum(len(row.token_ids) for row in renderer.training_rows(examples))
    learning = Learning(num_train_epochs=1, learning_rate=1e-6)
    speeds_of_training = [tokens / trainer.fit(examples, learning, "bench").seconds for _ in range(REPEATS)]
    middle = statistics.median(speeds_of_training)
    print(f"training: {middle:,.0f} tokens/s, prompt tokens included (median of {REPEATS})")


if __name__ == "__main__":
    main()
