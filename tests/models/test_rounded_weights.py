"""Frozen weights that are rounded once give what autocast gives, which rounds them in every pass."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import AutoModelForCausalLM

from selftrain.models.logprobs import PlainHead, autocast
from selftrain.models.rounded_weights import RoundedWeights
from selftrain.models.seeds import seed_model

IDS = torch.arange(5, 45).view(2, 20)


def adapted(kind: str) -> Any:
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(seed_model(kind), dtype=torch.float32)
    return get_peft_model(model, LoraConfig(r=4, init_lora_weights=False, target_modules=["q_proj", "down_proj"]))


def passed(model: Any) -> tuple[Tensor, list[Tensor]]:
    with autocast(model, bf16=True):
        logits = model(input_ids=IDS).logits
    logits.float().logsumexp(dim=-1).sum().backward()
    gradients = [one.grad.clone() for one in model.parameters() if one.requires_grad]
    model.zero_grad()
    return logits.detach(), gradients


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gemma2"])
def test_logits_and_gradients_are_the_same_to_the_last_bit(kind: str) -> None:
    model = adapted(kind)
    with torch.no_grad():
        whole = model(input_ids=IDS).logits
    expected, gradients = passed(model)
    rounded = RoundedWeights(model)
    with rounded.in_place():
        found, same = passed(model)
    assert torch.equal(found, expected)
    assert all(torch.equal(one, other) for one, other in zip(same, gradients, strict=True))
    # Afterwards the model computes in float32 as before.
    with torch.no_grad():
        assert torch.equal(model(input_ids=IDS).logits, whole)


def test_a_head_that_is_trained_is_left_as_it_is() -> None:
    model = AutoModelForCausalLM.from_pretrained(seed_model("llama"))
    head = PlainHead.of(model)
    assert head is not None and RoundedWeights(model).head(head).weight is head.weight
    frozen = adapted("llama").base_model.model
    head = PlainHead.of(frozen)
    assert head is not None and RoundedWeights(frozen).head(head).weight.dtype == torch.bfloat16
