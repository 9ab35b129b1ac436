"""Real models of 0.1 to 1 billion weights on one core: ours beside transformers' `generate` and TRL, in turns.

    python -m benchmarks.real_models FOLDER ... [--parts load sampling shots equal training memory] [--repeats 3]

Each folder is a model that `save_pretrained` wrote. Questions are made-up word problems; shots are the first eight of
GSM8K where its data are (`$SELFTRAIN_DATA`), else word problems.

    load      seconds of processor time of the comparison at load
    sampling  tokens a second of processor time beside `generate`, 1 to 16 prompts a call, and with top-p
    shots     the same with eight shots in front of each question
    equal     greedy tokens and their log-probabilities beside `generate` and a plain forward pass, on --equal prompts
    training  tokens a second beside TRL in float32 and ours with bfloat16
    memory    the peak of a process that samples, and of one that trains: all weights, or an adapter above 0.3 billion

Asserts nothing.
"""

from __future__ import annotations

import argparse
import copy
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
import transformers

from benchmarks.training import trl_way
from benchmarks.turns import Taken, Way, fastest, here, machine, one_core, table, take_turns, times
from selftrain.engines.packed import fastest_engine
from selftrain.engines.packed.architecture import read_architecture
from selftrain.engines.packed.engine import PackedEngine
from selftrain.engines.packed.select import check_agreement
from selftrain.engines.request import GenerateRequest
from selftrain.engines.transformers import ModelSpec, TransformersEngine
from selftrain.errors import SelftrainError
from selftrain.models.adapter import AdapterConfig
from selftrain.models.loading import LoadedModel
from selftrain.models.prompts import PromptConfig, make_prompts
from selftrain.problems import load_problems
from selftrain.training.base import TrainingConfig, TrainingJob
from selftrain.training.gradients import GradientAccumulator
from selftrain.training.step import Stepper
from selftrain.types import Prompt, SamplingParams, TrainingExample

PARTS = ("load", "sampling", "shots", "equal", "training", "memory")
#: Weights above which an adapter is trained.
ADAPTER_ABOVE = 300_000_000
#: A base model is not stopped at the question that it asks next, for `generate` is not.
WHOLE = PromptConfig(stop_at_next_question=False)
IN_BF16 = "`generate` in bfloat16"
HEAD = ("model", "", "tokens a second of CPU time", "ours is times as fast", "CPU share")


class Model:
    def __init__(self, folder: str, asked: argparse.Namespace) -> None:
        spec = ModelSpec(model=folder, name=Path(folder).name, prompt_config=WHOLE, batch_size=asked.rows)
        self.folder, self.name, self.asked = folder, spec.name, asked
        self.reference = TransformersEngine.load(spec, "cpu")
        self.model, self.renderer = self.reference.model, self.reference.renderer
        self.prompts = make_prompts(load_problems("word_problems", max_problems=asked.prompts))
        self.sampling = SamplingParams(1.0, max_completion_length=asked.tokens)

    def ours(self, engine: Any, prompts: Sequence[Prompt], n: int, params: SamplingParams) -> int:
        """Tokens written."""
        batches = [[prompts[i] for i in batch] for batch in engine.plan(prompts, n)]
        found = [engine.generate(GenerateRequest(batch, n, params, "benchmark")) for batch in batches]
        return sum(len(response.token_ids) for responses in found for response in responses)

    @torch.inference_mode()
    def generate(
        self, prompts: Sequence[Prompt], n: int, at_once: int, params: SamplingParams, *, by: Any = None
    ) -> int:
        """By transformers, the prompts of similar length in a call; tokens up to the end token.

        Args:
            by: the model; by default as it was loaded.
        """
        model = self.model if by is None else by
        config = transformers.GenerationConfig(
            do_sample=True, temperature=params.temperature, top_k=0, top_p=params.top_p, num_return_sequences=n,
            max_new_tokens=params.max_completion_length, eos_token_id=sorted(self.renderer.stop_ids),
            pad_token_id=self.renderer.pad_id,
        )  # fmt: skip
        ids, tokens = sorted((self.renderer.prompt_ids(prompt) for prompt in prompts), key=len), 0
        for start in range(0, len(ids), at_once):
            some = ids[start : start + at_once]
            longest = max(map(len, some))
            padded = torch.tensor([[self.renderer.pad_id] * (longest - len(one)) + one for one in some])
            mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in some])
            out = model.generate(padded, attention_mask=mask, generation_config=config)[:, longest:]
            tokens += sum(self._useful(row) for row in out.tolist())
        return tokens

    def _useful(self, ids: list[int]) -> int:
        return next((place + 1 for place, one in enumerate(ids) if one in self.renderer.stop_ids), len(ids))


def load(model: Model) -> None:
    packed = PackedEngine(model.reference, read_architecture(model.model))
    marks = [time.process_time()]
    for work in (lambda: packed.decoder(bf16=False), lambda: check_agreement(model.reference, packed)):
        work()
        marks.append(time.process_time())
    packing, comparing = marks[1] - marks[0], marks[2] - marks[1]
    print(f"{model.name}: weights rearranged in {packing:.1f} s, compared in {comparing:.1f} s of processor time\n")


def sampling(model: Model) -> None:
    asked, packed = model.asked, fastest_engine(model.reference)
    filtered, loop = replace(model.sampling, top_p=0.95), model.reference
    in_bf16 = TransformersEngine(loop.model, loop.renderer, loop.name, batch_size=loop.batch_size, bf16=True)
    rounded = PackedEngine(in_bf16, read_architecture(model.model))
    ours, top_p, ours_bf16 = "ours", "ours, top-p 0.95", "ours, bfloat16"
    ways = [
        here(name, partial(model.ours, engine, model.prompts, asked.samples, params))
        for name, engine, params in (
            (ours, packed, model.sampling),
            (top_p, packed, filtered),
            ("our loop around transformers'", loop, model.sampling),
            (ours_bf16, rounded, model.sampling),
        )
    ]
    ways += generate_ways(model, model.prompts, asked.samples, asked.at_once)
    its_own, most = copy.deepcopy(model.model).bfloat16(), [max(one for one in asked.at_once if one <= asked.prompts)]
    ways += generate_ways(model, model.prompts, asked.samples, most, name=IN_BF16, by=its_own)
    taken = take_turns(ways, asked.repeats, warm_up=False)
    show(model, taken, f"{asked.prompts} prompts, {asked.samples} samples each, up to {asked.tokens} tokens")
    print(f"{model.name}, bfloat16: {median(times(taken[ours_bf16], taken[ways[-1].name])):.2f} times `generate`\n")
    share = sorted(times(taken[top_p], taken[ours]))
    print(f"{model.name}: with top-p {median(share):.0%} ({share[0]:.0%} to {share[-1]:.0%}) of the speed without\n")


def shots(model: Model) -> None:
    asked, packed = model.asked, fastest_engine(model.reference)
    worked = load_problems("word_problems", split="train", max_problems=8)
    with suppress(SelftrainError):
        worked = load_problems("gsm8k", split="train", max_problems=8)
    few_shot = tuple((one.question, one.solution or "") for one in worked)
    prompts = [replace(prompt, few_shot=few_shot) for prompt in model.prompts[: asked.shot_prompts]]
    length = median(len(model.renderer.prompt_ids(prompt)) for prompt in prompts)
    # As in an evaluation: one answer a prompt.
    ways = [
        here("ours", partial(model.ours, packed, prompts, 1, model.sampling)),
        here("our loop around transformers'", partial(model.ours, model.reference, prompts, 1, model.sampling)),
        *generate_ways(model, prompts, 1, [4]),
    ]
    taken = take_turns(ways, asked.repeats, warm_up=False)
    show(model, taken, f"8 shots, {len(prompts)} prompts of {length:.0f} tokens, up to {asked.tokens} tokens")


def generate_ways(
    model: Model, prompts: Sequence[Prompt], n: int, at_once: Sequence[int], *, name: str = "`generate`", by: Any = None
) -> list[Way]:
    return [
        here(f"{name}, {count} prompts a call", partial(model.generate, prompts, n, count, model.sampling, by=by))
        for count in at_once
        if count <= len(prompts)
    ]


def show(model: Model, taken: dict[str, Taken], what: str) -> None:
    ours = taken["ours"]
    print(f"{model.name}: {what}\n")
    lines = []
    for name, one in taken.items():
        if not one.turns:
            lines.append([model.name, name, one.missing, "", ""])
            continue
        ratios = times(ours, one)
        ratio = "" if one is ours else f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        lines.append([model.name, name, f"{one.rate:.1f}", ratio, f"{one.cpu_share:.2f}"])
    print(table(HEAD, lines), end="\n\n")
    if theirs := [one for name, one in taken.items() if name.startswith("`generate`,") and one.turns]:
        best = fastest(theirs)
        print(f"{model.name}: {median(times(ours, best)):.2f} times the best of `generate` ({best.name})\n", flush=True)


@torch.inference_mode()
def equal(model: Model) -> None:
    packed, count, apart, same = fastest_engine(model.reference), model.asked.equal, 0.0, 0
    prompts, greedy = make_prompts(load_problems("word_problems", max_problems=count)), SamplingParams(0.0)
    greedy = replace(greedy, max_completion_length=model.asked.equal_tokens)
    ours = {
        response.prompt.problem_id: response
        for batch in packed.plan(prompts, 1)
        for response in packed.generate(GenerateRequest([prompts[i] for i in batch], 1, greedy, "equal"))
    }
    for prompt in prompts:
        response, ids = ours[prompt.problem_id], torch.tensor([model.renderer.prompt_ids(prompt)])
        # `generate` without a temperature, top-k or penalty that the model brings.
        config = transformers.GenerationConfig(
            do_sample=False, max_new_tokens=greedy.max_completion_length, pad_token_id=model.renderer.pad_id,
            eos_token_id=sorted(model.renderer.stop_ids),
        )  # fmt: skip
        whole = model.model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
        same += tuple(whole[0, ids.shape[1] :].tolist()) == response.token_ids
        row = torch.tensor([[*ids[0].tolist(), *response.token_ids]])
        logits = model.model(row, logits_to_keep=len(response.token_ids) + 1).logits[0, :-1].double()
        targets = row[0, ids.shape[1] :, None]
        by_hand = logits.log_softmax(dim=-1).gather(-1, targets).sum()
        apart = max(apart, abs(float(by_hand) - response.logprob))
    print(f"{model.name}: greedy tokens are those of `generate` for {same} of {count} prompts, up to "
          f"{greedy.max_completion_length} tokens; log-probabilities of answers differ by {apart:.1e} nats at most\n",
          flush=True)  # fmt: skip


def stepper_of(model: Model, *, bf16: bool = False) -> tuple[Stepper, list[TrainingExample]]:
    problems = load_problems("word_problems", max_problems=model.asked.examples)
    pairs = zip(make_prompts(problems), problems, strict=True)
    examples = [TrainingExample(prompt, f" {problem.solution} " * 2) for prompt, problem in pairs]
    trained = [one for one in model.model.parameters() if one.requires_grad]
    rows = model.renderer.tokenize_examples(examples)
    optimizer = torch.optim.AdamW(trained, lr=1e-6, fused=True)
    job = TrainingJob(examples, TrainingConfig(), "benchmark")
    gradients = GradientAccumulator(model.model, job.config, model.renderer.pad_id, bf16=bf16)
    return Stepper(gradients, optimizer, rows, job), examples


def training(model: Model) -> None:
    def one_step(stepper: Stepper) -> int:
        stepper.step(range(len(stepper.examples)), 1e-6, "benchmark")
        return sum(len(row.token_ids) for row in stepper.examples)

    ours, _ = stepper_of(model)
    rounded, _ = stepper_of(model, bf16=True)
    loaded = LoadedModel(model.model, model.renderer.tokenizer, model.renderer.stop_ids)
    settings = {
        "bf16": False, "gradient_checkpointing": False, "per_device_train_batch_size": min(16, model.asked.examples),
        "train_sampling_strategy": "group_by_length",
    }  # fmt: skip
    ways = [
        here("ours", partial(one_step, ours)),
        here("ours, bfloat16", partial(one_step, rounded)),
        trl_way("TRL, float32, by length", settings, loaded, ours.examples),
    ]
    taken = take_turns(ways, model.asked.repeats, warm_up=False)
    show(model, taken, f"{model.asked.examples} examples a step, {ours.max_tokens_per_batch} tokens at once")


def memory(model: Model) -> None:
    weights = sum(one.numel() for one in model.model.parameters()) * 4 / 2**30
    told = [f"weights {weights:.2f} GiB"]
    for what in ("loaded", "ours", "generate", "trained"):
        command = [sys.executable, "-m", "benchmarks.real_models", model.folder, "--peak_of", what]
        command += [f"--{name}={getattr(model.asked, name)}" for name in ("rows", "prompts", "samples", "examples")]
        done = subprocess.run([*command, "--tokens=16"], capture_output=True, text=True)
        told.append(f"{what} {done.stdout.strip() or 'failed'}")
    print(f"{model.name}: peak of a process: {', '.join(told)}\n", flush=True)


def peak_of(model: Model, what: str) -> None:
    if what == "ours":
        model.ours(fastest_engine(model.reference), model.prompts, model.asked.samples, model.sampling)
    elif what == "generate":
        at_once = max(1, model.asked.rows // model.asked.samples)
        model.generate(model.prompts, model.asked.samples, at_once, model.sampling)
    elif what == "trained":
        if sum(one.numel() for one in model.model.parameters()) > ADAPTER_ABOVE:
            from selftrain.training.lora import LoraAdapter

            LoraAdapter(model.model, AdapterConfig(use_peft=True), model.folder, "main")
        stepper, _ = stepper_of(model)
        for key in ("first", "second"):  # the second has the optimizer's moments
            stepper.step(range(len(stepper.examples)), 1e-6, key)
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    for name, default in (("repeats", 3), ("prompts", 32), ("samples", 4), ("rows", 64), ("tokens", 96), ("equal", 100),
                          ("equal_tokens", 32), ("examples", 16), ("shot_prompts", 16)):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--at_once", type=int, nargs="+", default=[1, 4, 8, 16], help="prompts a call of `generate`")
    parser.add_argument("--peak_of", choices=("loaded", "ours", "generate", "trained"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    one_core()
    transformers.logging.set_verbosity_error()
    if asked.peak_of:
        peak_of(Model(asked.folders[0], asked), asked.peak_of)
        return
    print(f"{machine()}; medians of {asked.repeats} turns\n", flush=True)
    for folder in asked.folders:
        for part in asked.parts:
            # Each with the model as it was loaded.
            globals()[part](Model(folder, asked))


if __name__ == "__main__":
    main()
