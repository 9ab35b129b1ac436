"""Ways to sample on a CPU, taking turns on the same work on one core: ours, transformers' ways, CTranslate2, vLLM.

    python -m benchmarks.sampling [--repeats 5] [--prompts 32] [--samples 16] [--rows 128] [--sizes "0.9 M"]
                                  [--vllm_python PATH]

Two models of random weights with the tokenizer of a seed model. Their answers have the lengths of those of a trained
model: after each token they end with the same small probability. Each peer is used in the ways that were found to be
fast on a small CPU; the fastest counts. Tokens after an end token do not. CTranslate2 and vLLM answer in processes of
their own, on the same core, and like transformers make no texts of their tokens, which ours does. vLLM is asked where
`--vllm_python` (or $VLLM_PYTHON) names the Python of an environment that has it. Asserts nothing.
"""

from __future__ import annotations

import argparse
import copy
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
import transformers

from benchmarks.models import SAMPLING, SIZES, make_model
from benchmarks.peers.process import Peer
from benchmarks.turns import Taken, Way, WayError, fastest, here, machine, one_core, rows, table, take_turns, times
from selftrain.engines.base import Engine
from selftrain.engines.packed import fastest_engine
from selftrain.engines.request import GenerateRequest
from selftrain.engines.transformers import TransformersEngine
from selftrain.models.loading import LoadedModel
from selftrain.models.prompts import PromptConfig, make_prompts
from selftrain.models.rendering import Renderer
from selftrain.problems import load_problems
from selftrain.types import Prompt

OURS, LOOP = "our forward pass", "our loop around transformers'"
CTRANSLATE2, VLLM = "CTranslate2", "vLLM"
#: Sequences that a peer computes at once, each a way of its own.
CTRANSLATE2_AT_ONCE, VLLM_AT_ONCE = (16, 64), (256,)
HEAD = ("model", "", "tokens a second of CPU time", "ours is times as fast", "CPU share", "tokens an answer")


def by_engine(engine: Engine, prompts: list[Prompt], samples: int) -> int:
    """Tokens written."""
    batches = [[prompts[i] for i in batch] for batch in engine.plan(prompts, samples)]
    requests = [GenerateRequest(batch, samples, SAMPLING, "benchmark") for batch in batches]
    return sum(len(response.token_ids) for request in requests for response in engine.generate(request))


class ByTransformers:
    """The ways of transformers. `useful` tokens are those up to the end token."""

    def __init__(self, loaded: LoadedModel, prompt_ids: list[list[int]], samples: int) -> None:
        self._loaded, self._prompt_ids, self._samples = loaded, sorted(prompt_ids, key=len), samples
        self._pad, self._end = loaded.tokenizer.pad_token_id, loaded.tokenizer.eos_token_id
        self._config = transformers.GenerationConfig(
            do_sample=True, temperature=SAMPLING.temperature, top_k=SAMPLING.top_k, num_return_sequences=samples,
            max_new_tokens=SAMPLING.max_completion_length, eos_token_id=self._end, pad_token_id=self._pad,
        )  # fmt: skip

    def ways(self) -> list[Way]:
        return [
            *(here(f"`generate`, {n} prompts a call", partial(self._by_generate, n)) for n in (1, 4, 16)),
            here("as TRL's GRPO: prompts repeated, 4 a call", lambda: self._by_generate(4, repeated=True)),
            *(here(f"`generate_batch`, {n} tokens a batch", partial(self._by_batching, n)) for n in (256,)),
        ]

    @torch.inference_mode()
    def _by_generate(self, at_once: int, *, repeated: bool = False) -> int:
        """The samples of `at_once` prompts a call."""
        tokens, config = 0, copy.deepcopy(self._config)
        if repeated:
            config.num_return_sequences = 1
        for start in range(0, len(self._prompt_ids), at_once):
            some = self._prompt_ids[start : start + at_once]
            some = [one for one in some for _ in range(self._samples if repeated else 1)]
            longest = max(map(len, some))
            ids = torch.tensor([[self._pad] * (longest - len(one)) + one for one in some])
            mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in some])
            out = self._loaded.model.generate(ids, attention_mask=mask, generation_config=config)
            tokens += sum(map(self._useful, out[:, longest:].tolist()))
        return tokens

    @torch.no_grad()
    def _by_batching(self, at_once: int) -> int:
        """Continuous batching. It changes its model's attention, so it is given a copy."""
        config = transformers.ContinuousBatchingConfig(
            max_batch_tokens=at_once, num_blocks=256, page_size=32, max_memory_percent=0.1
        )
        model = copy.deepcopy(self._loaded.model)
        found = model.generate_batch(
            self._prompt_ids, generation_config=copy.deepcopy(self._config), continuous_batching_config=config
        )
        if len(found) != len(self._prompt_ids) * self._samples:
            raise WayError(f"failed: {len(found)} of {len(self._prompt_ids) * self._samples} answers came")
        return sum(self._useful(one.generated_tokens) for one in found.values())

    def _useful(self, ids: Sequence[int]) -> int:
        return list(ids).index(self._end) + 1 if self._end in ids else len(ids)


def other_processes(
    loaded: LoadedModel, prompt_ids: list[list[int]], samples: int, vllm_python: str, open_until_done: ExitStack
) -> list[Way]:
    folder = open_until_done.enter_context(tempfile.TemporaryDirectory())
    loaded.model.save_pretrained(folder)
    tokenizer = copy.deepcopy(loaded.tokenizer)
    # CTranslate2 cannot convert a model that lacks these; the prompts, given as tokens, use neither.
    tokenizer.bos_token, tokenizer.unk_token = tokenizer.eos_token, tokenizer.eos_token
    tokenizer.save_pretrained(folder)
    end = loaded.tokenizer.eos_token_id
    work = {
        "model": folder, "prompt_ids": prompt_ids, "samples": samples, "end": end,
        "prompt_tokens": [loaded.tokenizer.convert_ids_to_tokens(one) for one in prompt_ids],
        "end_token": loaded.tokenizer.convert_ids_to_tokens(end), "temperature": SAMPLING.temperature,
        "top_k": SAMPLING.top_k, "max_completion_length": SAMPLING.max_completion_length,
        "room": loaded.model.config.max_position_embeddings,
    }  # fmt: skip
    found = []
    for at_once in CTRANSLATE2_AT_ONCE:
        name, module = f"{CTRANSLATE2}, {at_once} at once", "benchmarks.peers.ctranslate2_sampling"
        python = sys.executable if find_spec("ctranslate2") else ""
        found.append(_peer(name, module, work | {"at_once": at_once}, python, open_until_done))
    for at_once in VLLM_AT_ONCE:
        name, module = f"{VLLM}, {at_once} at once", "benchmarks.peers.vllm_sampling"
        found.append(_peer(name, module, work | {"at_once": at_once}, vllm_python, open_until_done))
    return found


def _peer(name: str, module: str, work: dict[str, Any], python: str, open_until_done: ExitStack) -> Way:
    if not python:
        return Way(name, None, "not installed")
    try:
        peer = Peer(module, work, python)
    except WayError as error:
        return Way(name, None, str(error))
    open_until_done.callback(peer.close)
    print(f"{name}: {peer.version}, ready after {peer.seconds:.1f} s", file=sys.stderr)
    return Way(f"{name} ({peer.version})", peer.turn)


def measure(size: str, asked: argparse.Namespace) -> tuple[list[list[str]], list[str]]:
    """Cells of the table, and what they come to."""
    loaded = make_model(SIZES[size])
    renderer = Renderer(loaded.tokenizer, PromptConfig(), loaded.stop_ids)
    reference = TransformersEngine(loaded.model, renderer, size, batch_size=asked.rows)
    packed = fastest_engine(reference)
    assert packed is not reference, reference.description
    prompts = make_prompts(load_problems("word_problems", max_problems=asked.prompts))
    prompt_ids = [renderer.prompt_ids(prompt) for prompt in prompts]
    theirs = ByTransformers(loaded, prompt_ids, asked.samples).ways()
    with ExitStack() as open_until_done:
        apart = other_processes(loaded, prompt_ids, asked.samples, asked.vllm_python, open_until_done)
        ways = [
            here(OURS, lambda: by_engine(packed, prompts, asked.samples)),
            here(LOOP, lambda: by_engine(reference, prompts, asked.samples)),
        ]
        taken = take_turns([*ways, *theirs, *apart], asked.repeats)
    count = asked.prompts * asked.samples
    lines = [
        [*cells, f"{taken[name].work / count:.1f}" if taken[name].turns else ""]
        for name, cells in rows(size, taken, OURS).items()
    ]
    groups = {
        "the fastest of transformers": [taken[way.name] for way in theirs],
        CTRANSLATE2: [one for name, one in taken.items() if name.startswith(CTRANSLATE2)],
        VLLM: [one for name, one in taken.items() if name.startswith(VLLM)],
    }
    return lines, [_beside(size, taken[OURS], group, some) for group, some in groups.items()]


def _beside(size: str, ours: Taken, group: str, some: Sequence[Taken]) -> str:
    if not any(one.turns for one in some):
        return f"{size}, {group}: {some[0].missing}"
    best = fastest(some)
    ratios = sorted(times(ours, best))
    return f"{size}, ours against {group}: {ratios[len(ratios) // 2]:.2f} times as fast ({best.name})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("repeats", 5), ("prompts", 32), ("samples", 16), ("rows", 128)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--vllm_python", default=os.environ.get("VLLM_PYTHON", ""), help="Python of vLLM's environment")
    asked = parser.parse_args()
    one_core()
    logging.disable(logging.WARNING)
    measured = [measure(size, asked) for size in asked.sizes]
    print(f"\n{machine()}; {asked.prompts} prompts, {asked.samples} samples each, {asked.rows} of our answers at once, "
          f"medians of {asked.repeats} turns\n")  # fmt: skip
    print(table(HEAD, [line for lines, _ in measured for line in lines]), end="\n\n")
    print(*(said for _, sayings in measured for said in sayings), sep="\n")


if __name__ == "__main__":
    main()
