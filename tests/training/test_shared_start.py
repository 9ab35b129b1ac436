"""Worked examples that all prompts begin with are computed once a micro-batch, with the same loss and gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from selftrain.models import logprobs as logprobs_module
from selftrain.models.adapter import AdapterConfig
from selftrain.models.loading import LoadedModel, load_model
from selftrain.models.rendering import TokenizedExample
from selftrain.models.seeds import seed_model
from selftrain.training.base import TrainingConfig, TrainingJob
from selftrain.training.gradients import GradientAccumulator
from selftrain.training.loss import normalizer
from selftrain.types import Prompt, TrainingExample
from tests.engines.packed.test_architectures import MODELS
from tests.training.small import trainer_of

#: After 90 tokens in common, 1 to 3 of the prompt and 2 to 5 of the completion.
START = tuple(3 + i % 50 for i in range(90))
ROWS = [TokenizedExample((*START, *range(5, 6 + i % 3), *range(9, 11 + i % 4)), 91 + i % 3, 1.0 + i) for i in range(5)]
SHOTS = tuple((f"Tom has {i} apples and finds {i}.", f"{i}+{i}={2 * i}. #### {2 * i}") for i in range(6))
EXAMPLES = [
    TrainingExample(Prompt(f"p{i}", f"{i} pears" + " and more" * (i % 3), few_shot=SHOTS), f" {i + 1}.", None, 1.0 + i)
    for i in range(16)
]


def gradient(accumulator: GradientAccumulator, *, shares: bool) -> tuple[Any, torch.Tensor]:
    accumulator.zero_grad()
    accumulator.shares_start = shares
    loss = accumulator.add(ROWS, normalizer(ROWS, "token"), "key")
    return loss, torch.cat([p.grad.flatten() for p in accumulator.model.parameters() if p.grad is not None])


@pytest.mark.parametrize("at_once", [2**24, 2000], ids=["logits whole", "logits in parts"])
@pytest.mark.parametrize("name", MODELS)
def test_loss_and_gradient_are_those_of_each_example_by_itself(
    name: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With windows shorter than the start, soft caps, tied heads and heads of their own."""
    monkeypatch.setattr(logprobs_module, "MAX_LOGITS", at_once)
    accumulator = GradientAccumulator(MODELS[name](), TrainingConfig(train_temperature=0.8), 1)
    assert accumulator.shares_start and accumulator.shared(ROWS) == 80
    (loss, once), (expected, by_itself) = gradient(accumulator, shares=True), gradient(accumulator, shares=False)
    assert loss == pytest.approx(expected, rel=1e-5)
    assert (once - by_itself).norm() < 1e-5 * by_itself.norm()


@pytest.mark.parametrize("max_tokens", [None, 64], ids=["default", "less than the start"])
def test_a_step_computes_the_examples_once_a_micro_batch(trainable: LoadedModel, max_tokens: int | None) -> None:
    trainer, tokens = trainer_of(trainable), list[int]()
    rows = trainer.renderer.tokenize_examples(EXAMPLES)
    prompts = sum(row.prompt_length for row in rows)
    trainable.model.model.embed_tokens.register_forward_pre_hook(lambda _, given: tokens.append(given[0].numel()))
    trainer.train(TrainingJob(EXAMPLES, TrainingConfig(num_train_epochs=1, max_tokens_per_batch=max_tokens), "1"))
    assert sum(tokens) < prompts / (4 if max_tokens is None else 1.5)


@pytest.mark.parametrize("bf16", [False, True], ids=["float32", "bfloat16"])
def test_an_adapter_of_default_settings_is_trained_with_the_examples_computed_once(bf16: bool) -> None:
    pytest.importorskip("peft", reason="adapters are trained through peft: pip install 'selftrain[peft]'")
    from selftrain.training.lora import LoraAdapter

    model = load_model(seed_model("qwen2"), device="cpu").model
    LoraAdapter(model, AdapterConfig(use_peft=True), seed_model("qwen2")).initialize("1")
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_B" in name:
                value.normal_(std=0.02, generator=torch.Generator().manual_seed(len(name)))
    accumulator = GradientAccumulator(model, TrainingConfig(), 1, bf16=bf16)
    assert accumulator.shared(ROWS) == 80
    (loss, once), (expected, by_itself) = gradient(accumulator, shares=True), gradient(accumulator, shares=False)
    assert loss == pytest.approx(expected, rel=1e-2 if bf16 else 1e-5)
    assert (once - by_itself).norm() < (0.1 if bf16 else 1e-5) * by_itself.norm()


def test_out_of_memory_behind_the_start_cuts_what_follows_it(trainable: LoadedModel) -> None:
    sizes = list[int]()

    def check(_module: torch.nn.Module, _args: tuple[Any], given: dict[str, Any]) -> None:
        sizes.append(len(given["input_ids"]))
        if sizes[-1] > 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    trainable.model.model.register_forward_pre_hook(check, with_kwargs=True)
    config = TrainingConfig(num_train_epochs=1, train_batch_size=len(EXAMPLES))
    report = trainer_of(trainable).train(TrainingJob(EXAMPLES, config, "1"))
    # After two passes that measure memory each try makes them smaller, and before each stands the start.
    assert report.skipped == 0 and sizes[:4] == [1, 1, 1, 16] and max(sizes[-4:]) <= 4
    assert sum(size > 4 for size in sizes) <= 3


@pytest.mark.parametrize("why", ["dropout", "activations are recomputed"])
def test_where_it_would_not_be_the_same_each_example_is_computed_by_itself(why: str) -> None:
    model = MODELS["qwen2"]()
    if why == "dropout":
        model.config.attention_dropout = 0.1
    accumulator = GradientAccumulator(model, TrainingConfig(gradient_checkpointing=why != "dropout"), 1)
    assert accumulator.shared(ROWS) == 0
