"""Three ways to sample on a CPU, taking turns on the same work: the packed engine, the slow one, and `generate`.

    OMP_NUM_THREADS=1 python benchmarks/sampling.py [--repeats 5] [--prompts 32] [--samples 16] [--rows 128]

Two models of random weights with the tokenizer of a seed model. Their answers have the lengths of those of a trained
model: after each token they end with the same small probability. `generate` is used in the ways that were found to be
fast on a small CPU: the samples of one prompt a call, of four, of sixteen; the fastest counts. Tokens after an end
token do not. Prints medians of tokens a second and of the ratios within a turn; asserts nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable

import torch
import transformers

from selftrain.engines.base import Engine
from selftrain.engines.packed import quickest_engine
from selftrain.engines.transformers import TransformersEngine
from selftrain.loading import LoadedModel, load_model
from selftrain.problems import load_problems
from selftrain.prompts import Prompting, make_prompts
from selftrain.rendering import Renderer
from selftrain.seeds import seed_model
from selftrain.types import Prompt, Sampling

SAMPLING = Sampling(0.7, 40, max_completion_length=96)
#: Of an answer after each of its tokens, which makes answers of about 40 tokens.
CHANCE_OF_AN_END = 0.022
SIZES = {
    "0.9 M": {"hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 4, "num_attention_heads": 4},
    "5 M": {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 6, "num_attention_heads": 8},
}


@torch.no_grad()
def make_model(size: str, tokenizer: transformers.PreTrainedTokenizerBase) -> LoadedModel:
    torch.manual_seed(0)
    end = tokenizer.eos_token_id
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), max_position_embeddings=512, eos_token_id=end, bos_token_id=None,
        pad_token_id=tokenizer.pad_token_id, **SIZES[size],
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).eval()
    # All embeddings share a direction that no row of the head but that of the end token looks at: a constant logit.
    shared = torch.nn.functional.normalize(torch.randn(config.hidden_size), dim=0)
    head = model.lm_head.weight
    model.model.embed_tokens.weight += shared
    head -= (head @ shared)[:, None] * shared
    ids = torch.randint(len(tokenizer), (64, 64))
    low, high = -2.0, 4.0
    for _ in range(25):
        head[end] = shared * (low + high) / 2
        likeliest = (model(ids).logits[:, 16:].flatten(0, 1) / SAMPLING.temperature).topk(SAMPLING.top_k)
        chance = (likeliest.values.softmax(-1) * (likeliest.indices == end)).sum(-1).mean().item()
        low, high = ((low + high) / 2, high) if chance < CHANCE_OF_AN_END else (low, (low + high) / 2)
    return LoadedModel(model, tokenizer, frozenset({end}))


def by_engine(engine: Engine, prompts: list[Prompt], samples: int) -> int:
    """Tokens written."""
    units = engine.plan(prompts, samples)
    return sum(
        len(one.token_ids)
        for unit in units
        for one in engine.generate([prompts[i] for i in unit], samples, SAMPLING, "benchmark", 0)
    )


@torch.inference_mode()
def by_generate(loaded: LoadedModel, prompt_ids: list[list[int]], samples: int, at_once: int) -> int:
    """The samples of `at_once` prompts a call; tokens written."""
    tokens, pad, end = 0, loaded.tokenizer.pad_token_id, loaded.tokenizer.eos_token_id
    for start in range(0, len(prompt_ids), at_once):
        some = prompt_ids[start : start + at_once]
        longest = max(map(len, some))
        ids = torch.tensor([[pad] * (longest - len(one)) + one for one in some])
        mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in some])
        out = loaded.model.generate(
            ids, attention_mask=mask, do_sample=True, temperature=SAMPLING.temperature, top_k=SAMPLING.top_k,
            num_return_sequences=samples, max_new_tokens=SAMPLING.max_completion_length,
        )  # fmt: skip
        for row in out[:, longest:].tolist():
            tokens += row.index(end) + 1 if end in row else len(row)
    return tokens


def peak() -> float:
    """float32 GFLOP/s of the largest of some matrix products."""
    found = 0.0
    for rows, inner, columns in ((256, 256, 768), (512, 512, 2048), (1024, 1024, 1024)):
        a, b = torch.randn(rows, inner), torch.randn(inner, columns)
        for _ in range(20):
            began = time.perf_counter()
            torch.mm(a, b)
            found = max(found, 2e-9 * rows * inner * columns / (time.perf_counter() - began))
    return found


def measure(size: str, asked: argparse.Namespace, tokenizer: transformers.PreTrainedTokenizerBase) -> list[str]:
    """Lines of the table."""
    loaded = make_model(size, tokenizer)
    renderer = Renderer(tokenizer, Prompting(), loaded.stop_ids)
    slow = TransformersEngine(loaded.model, renderer, size, rows=asked.rows)
    packed = quickest_engine(slow)
    print(f"{size}: {packed.how}")
    prompts = make_prompts(load_problems("word_problems", max_problems=asked.prompts))
    prompt_ids = sorted(map(renderer.prompt_ids, prompts), key=len)
    ways: dict[str, Callable[[], int]] = {
        "packed engine": lambda: by_engine(packed, prompts, asked.samples),
        "slow engine": lambda: by_engine(slow, prompts, asked.samples),
    } | {
        f"generate, {count} prompts a call": lambda count=count: by_generate(loaded, prompt_ids, asked.samples, count)
        for count in (1, 4, 16)
    }
    speeds: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(asked.repeats + 1):
        for way, work in ways.items():
            # Time on the CPU: what else the machine does then counts for little.
            began = time.process_time()
            tokens = work()
            if turn:  # the first warms up
                speeds[way].append(tokens / (time.process_time() - began))
    best = max((way for way in ways if way.startswith("generate")), key=lambda way: statistics.median(speeds[way]))
    ratios = {way: [a / b for a, b in zip(of_way, speeds[best], strict=True)] for way, of_way in speeds.items()}
    return [
        f"| {size} | {way} | {statistics.median(of_way):,.0f} | {statistics.median(ratios[way]):.2f} "
        f"({min(ratios[way]):.2f} to {max(ratios[way]):.2f}) |"
        for way, of_way in speeds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("repeats", 5), ("prompts", 32), ("samples", 16), ("rows", 128)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    tokenizer = load_model(seed_model("llama"), device="cpu").tokenizer
    lines = [line for size in SIZES for line in measure(size, asked, tokenizer)]
    print(
        f"\npython {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}; "
        f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, float32 peak "
        f"{peak():.0f} GFLOP/s, load {os.getloadavg()[0]:.1f}; {asked.prompts} prompts, {asked.samples} samples each, "
        f"{asked.rows} answers at once, medians of {asked.repeats} turns\n"
    )
    print("| model | | tokens a second of CPU time | times the best `generate` |\n|---|---|---|---|")
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
