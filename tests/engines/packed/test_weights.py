"""The engine generates with the current weights, however they were changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from selftrain.engines.packed import linear, weights
from selftrain.engines.packed.engine import PackedEngine
from selftrain.engines.packed.select import bf16_line
from selftrain.models.loading import LoadedModel
from selftrain.training.base import TrainingConfig, TrainingJob
from selftrain.training.trainer import TransformersTrainer
from selftrain.types import Prompt, SamplingParams, TrainingExample
from tests.conftest import generate
from tests.engines.packed.test_engine import assert_same, packed_of

AT_RANDOM = SamplingParams(1.0, max_completion_length=24)
TEXTS = [" 3+4=7. #### 7", " so"]


def assert_fresh(packed: PackedEngine, prompts: list[Prompt]) -> None:
    assert_same(generate(packed, prompts, 2, AT_RANDOM), generate(packed.reference, prompts, 2, AT_RANDOM))
    assert packed.logprob(prompts, TEXTS) == pytest.approx(packed.reference.logprob(prompts, TEXTS), abs=1e-4)


def test_after_training_the_new_weights_generate(trainable: LoadedModel, prompts: list[Prompt], tmp_path: Path) -> None:
    packed = packed_of(trainable)
    trainer = TransformersTrainer(trainable.model, packed.reference.renderer)
    examples = [TrainingExample(prompt, " 3+4=7. #### 7") for prompt in prompts[:8]]
    before = packed.logprob(prompts[:2], TEXTS)
    trainer.save(tmp_path)
    for learning_rate in (1e-3, 1e-6):  # a change that shows, and one that hardly does
        trainer.train(TrainingJob(examples, TrainingConfig(num_train_epochs=1, learning_rate=learning_rate), "seed"))
        assert packed.logprob(prompts[:2], TEXTS) != before
        assert_fresh(packed, prompts[:2])
    trainer.load(tmp_path)
    assert packed.logprob(prompts[:2], TEXTS) == before
    assert_fresh(packed, prompts[:2])


def in_place(parameter: torch.nn.Parameter) -> None:
    with torch.no_grad():
        parameter.mul_(1.01)


def past_the_version_counter(parameter: torch.nn.Parameter) -> None:
    parameter.data.mul_(1.01)


def in_numpy(parameter: torch.nn.Parameter) -> None:
    parameter.detach().numpy()[...] *= 1.01


def in_inference_mode(parameter: torch.nn.Parameter) -> None:
    with torch.inference_mode():
        parameter.mul_(1.01)


def by_another_tensor(parameter: torch.nn.Parameter) -> None:
    parameter.data = parameter.data * 1.01


def in_the_last_bit_of_one_weight(parameter: torch.nn.Parameter) -> None:
    parameter.data.view(torch.int32).view(-1)[-1] ^= 1


def in_order(parameter: torch.nn.Parameter) -> None:
    with torch.no_grad():
        parameter.copy_(parameter.flip(0))


@pytest.mark.parametrize(
    "change",
    [
        in_place, past_the_version_counter, in_numpy, in_inference_mode, by_another_tensor,
        in_the_last_bit_of_one_weight, in_order,
    ],
)  # fmt: skip
@pytest.mark.parametrize("part", ["self_attn.k_proj.weight", "input_layernorm.weight"])
def test_no_change_of_a_weight_goes_unseen(
    change: Callable[[torch.nn.Parameter], None], part: str, trainable: LoadedModel, prompts: list[Prompt]
) -> None:
    packed = packed_of(trainable)
    packed.logprob(prompts[:2], TEXTS)
    before = weights.fingerprint(trainable.model)
    change(trainable.model.get_parameter(f"model.layers.1.{part}"))
    assert weights.fingerprint(trainable.model) != before
    assert_fresh(packed, prompts[:2])


def test_weights_that_did_not_change_are_packed_once(
    llama: LoadedModel, prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    packed, made = packed_of(llama), []
    pack: Callable[..., Any] = weights.pack
    monkeypatch.setattr("selftrain.engines.packed.decoder.pack", lambda *a, **k: made.append(1) or pack(*a, **k))
    for version in range(3):
        generate(packed, prompts[:2], 2, AT_RANDOM, weights_version=version)
        packed.logprob(prompts[:2], TEXTS)
    assert len(made) == 1


def test_a_processor_that_gains_by_bfloat16_is_measured_and_said() -> None:
    assert 0 < linear.bf16_gain() < 100
    assert bf16_line(True, 2.0) == bf16_line(False, 0.2) == ""
    # However little it gains, the figure says by how much.
    for gain, told in (
        (0.2, "5.0 times slower than"),
        (0.004, "250 times slower than"),
        (0.98, "as fast as"),
        (1.2, "1.2 times as fast as"),
    ):
        assert bf16_line(True, gain) == (
            f"--bf16 gains nothing here: this processor multiplies in bfloat16 {told} in float32"
        )
    assert "2.1 times as fast as in float32: --bf16 would use it" in bf16_line(False, 2.1)
