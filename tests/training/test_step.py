"""Steps that cannot be made: skipped where numbers fail, cut up where memory does."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from selftrain.errors import ModelError, SettingsError
from selftrain.models.loading import LoadedModel, load_model
from selftrain.models.seeds import seed_model
from selftrain.training import step
from selftrain.training.base import TrainingConfig, TrainingReport
from tests.training.small import EXAMPLES, Folders, train, trainer_of, weights

#: Two steps an epoch.
CONFIG = TrainingConfig(learning_rate=1e-3, num_train_epochs=2, train_batch_size=5)
ODD = [*EXAMPLES[:3], replace(EXAMPLES[3], weight=float("nan"), completion=" odd\x1b\n" + "7" * 90), *EXAMPLES[4:]]


class Followed:
    """Notes after each step its loss and the weights."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded, self.losses, self.weights = loaded, list[float](), [weights(loaded)]

    def __call__(self, done: int, total: int, loss: float) -> None:
        self.losses.append(loss)
        self.weights.append(weights(self.loaded))


def test_a_step_whose_loss_is_not_finite_is_skipped_and_counted(trainable: LoadedModel) -> None:
    followed = Followed(trainable)
    report = train(trainer_of(trainable), CONFIG, examples=ODD, on_step=followed)
    bad = [number for number, loss in enumerate(followed.losses) if loss != loss]
    assert (report.steps, report.skipped, len(bad)) == (4, 2, 2)
    for number in range(4):
        assert torch.equal(followed.weights[number], followed.weights[number + 1]) == (number in bad)
    good = [loss for loss in followed.losses if loss == loss]
    assert report.loss_first == good[0]
    assert report.loss_last == sum(good) / 2
    assert torch.isfinite(weights(trainable)).all()


@pytest.mark.parametrize("allowed", [0, 1])
def test_one_step_too_many_names_the_example(trainable: LoadedModel, allowed: int) -> None:
    followed = Followed(trainable)
    with pytest.raises(ModelError) as raised:
        train(trainer_of(trainable), replace(CONFIG, max_skipped_steps=allowed), examples=ODD, on_step=followed)
    assert "problem 'p3'" in raised.value.found
    assert r"' odd\x1b\n777" in raised.value.found and "7" * 60 not in raised.value.found
    assert not any(f"'p{i}'" in str(raised.value) for i in range(10) if i != 3)
    assert f" in {allowed + 1} of " in raised.value.found
    assert "each of these examples alone" in raised.value.why
    assert torch.equal(weights(trainable), followed.weights[-1])
    assert sum(loss != loss for loss in followed.losses) == allowed


def test_an_infinite_gradient_makes_no_update(trainable: LoadedModel) -> None:
    followed = Followed(trainable)
    trainable.model.lm_head.weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(ModelError, match="every example of these steps") as raised:
        train(trainer_of(trainable), CONFIG, on_step=followed)
    assert "and 5 more" in raised.value.found
    assert torch.equal(weights(trainable), followed.weights[0])


def test_a_training_of_skipped_steps_only_is_an_error(trainable: LoadedModel) -> None:
    before = weights(trainable)
    with pytest.raises(ModelError, match="in 2 of 2 steps"):
        train(trainer_of(trainable), CONFIG, examples=ODD[3:4])
    assert torch.equal(weights(trainable), before)


def test_what_no_single_example_causes_is_said_so(trainable: LoadedModel) -> None:
    def only_together(module: torch.nn.Module, args: tuple, kwargs: dict, out):
        out.logits = out.logits * (float("nan") if len(kwargs["input_ids"]) > 1 else 1.0)
        return out

    trainable.model.register_forward_hook(only_together, with_kwargs=True)
    with pytest.raises(ModelError, match="no single example of these steps causes it"):
        train(trainer_of(trainable), replace(CONFIG, max_skipped_steps=0))


def test_the_count_of_skipped_steps_survives_a_resume(tmp_path: Path, trainable: LoadedModel) -> None:
    strict, folders = replace(CONFIG, max_skipped_steps=1), Folders(tmp_path / "states")
    with pytest.raises(ModelError) as first:
        train(trainer_of(trainable), strict, examples=ODD, checkpoints=folders)
    with pytest.raises(ModelError) as again:
        train(trainer_of(trainable), strict, examples=ODD, checkpoints=Folders(None, folders.states[-1]))
    assert str(again.value) == str(first.value)


def test_a_negative_limit_of_skipped_steps_is_refused() -> None:
    with pytest.raises(SettingsError, match="max_skipped_steps is -1"):
        TrainingConfig(max_skipped_steps=-1)


def limit_memory(loaded: LoadedModel, tokens: int) -> None:
    """Lets a batch of more than so many tokens fail as on a full device."""

    def check(module: torch.nn.Module, args: tuple, kwargs: dict) -> None:
        if kwargs["input_ids"].numel() > tokens:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    loaded.model.register_forward_pre_hook(check, with_kwargs=True)


def longest(loaded: LoadedModel) -> int:
    return max(len(row.token_ids) for row in trainer_of(loaded).renderer.tokenize_examples(EXAMPLES))


def test_out_of_memory_cuts_a_step_into_smaller_batches_with_the_same_result(tmp_path: Path) -> None:
    limited, small, whole = (load_model(seed_model("llama"), device="cpu") for _ in range(3))
    limit_memory(limited, 2 * longest(limited))
    folders, followed = Folders(tmp_path), (Followed(limited), Followed(whole))
    report = train(trainer_of(limited), CONFIG, on_step=followed[0], checkpoints=folders)
    budget = report.max_tokens_per_batch
    assert longest(limited) < budget < 5 * longest(limited)
    # The same bytes as with so small a limit from the start; nearly the same as with enough memory.
    train(trainer_of(small), replace(CONFIG, max_tokens_per_batch=budget))
    assert torch.equal(weights(limited), weights(small))
    assert train(trainer_of(whole), CONFIG, on_step=followed[1]).max_tokens_per_batch == 2048
    assert followed[0].losses == pytest.approx(followed[1].losses, rel=1e-5)
    assert (weights(limited) - weights(whole)).abs().max() < 1e-4
    # And so it stays, even where the next process has memory enough.
    again = load_model(seed_model("llama"), device="cpu")
    resumed = train(trainer_of(again), CONFIG, checkpoints=Folders(None, folders.states[1]))
    assert resumed.max_tokens_per_batch == budget
    assert torch.equal(weights(again), weights(limited))


@pytest.mark.parametrize(
    "error", [RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), MemoryError()]
)
def test_gradients_of_a_failed_step_are_dropped(trainable: LoadedModel, error: Exception) -> None:
    """The backward pass of the second micro-batch fails, once, halfway through the layers."""
    training = replace(CONFIG, num_train_epochs=1, max_tokens_per_batch=3 * longest(trainable))
    passes = []

    def fail(gradient: torch.Tensor) -> None:
        passes.append(1)
        if len(passes) == 2:
            raise error

    trainable.model.model.layers[1].mlp.up_proj.weight.register_hook(fail)
    followed = Followed(trainable)
    report = train(trainer_of(trainable), training, on_step=followed)
    assert report.max_tokens_per_batch < training.max_tokens_per_batch
    whole = load_model(seed_model("llama"), device="cpu")
    unharmed = Followed(whole)
    train(trainer_of(whole), training, on_step=unharmed)
    assert followed.losses == pytest.approx(unharmed.losses, rel=1e-5)
    assert (weights(trainable) - weights(whole)).abs().max() < 1e-4


@pytest.mark.parametrize("checkpointing", [False, True])
def test_an_example_too_long_for_memory_is_named(trainable: LoadedModel, checkpointing: bool) -> None:
    tokens, followed = longest(trainable), Followed(trainable)
    # What the model is given has one token less than the row.
    limit_memory(trainable, tokens - 2)
    with pytest.raises(ModelError) as raised:
        train(trainer_of(trainable), replace(CONFIG, gradient_checkpointing=checkpointing), on_step=followed)
    assert f"one example of {tokens} tokens (problem 'p9')" in raised.value.found
    assert "--max_completion_length" in raised.value.do
    assert ("--gradient_checkpointing" in raised.value.do) is not checkpointing
    assert torch.equal(weights(trainable), followed.weights[-1])


def test_another_error_is_not_taken_for_out_of_memory(trainable: LoadedModel) -> None:
    def fail(*_) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    trainable.model.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="mat1"):
        train(trainer_of(trainable), CONFIG)


def test_out_of_memory_in_the_optimizer_is_an_error(trainable: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: torch.optim.AdamW) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(torch.optim.AdamW, "step", fail)
    with pytest.raises(ModelError, match="out of memory in the optimizer"):
        train(trainer_of(trainable), CONFIG)


#: Trains under a real limit of memory. What is measured beforehand lies outside it: threads, caches, a first pass.
IN_A_SMALL_PROCESS = """
import resource, torch
from dataclasses import replace
from selftrain.training import step
from selftrain.training.base import TrainingConfig, TrainingReport
from selftrain.models.loading import load_model
from selftrain.models.seeds import seed_model
from tests.training.small import EXAMPLES, train, trainer_of

torch.set_num_threads(1)
config = TrainingConfig(num_train_epochs=1, train_batch_size=400, max_tokens_per_batch=100_000)
loaded = load_model(seed_model("llama"), device="cpu")
train(trainer_of(loaded), config, seed="warm")
with open("/proc/self/statm") as file:
    taken = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (100 << 20), resource.RLIM_INFINITY))
report = train(trainer_of(loaded), config, EXAMPLES * 40)
print(report.steps, report.skipped, report.max_tokens_per_batch)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_a_real_memory_limit_cuts_a_step_into_smaller_batches() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_A_SMALL_PROCESS], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr
    steps, skipped, budget = map(int, done.stdout.split())
    assert (steps, skipped) == (1, 0)
    assert budget < 10_000


def test_micro_batches_are_cut_by_the_memory_that_they_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same result; what the user asks for is left as it is."""

    def trained(config: TrainingConfig) -> TrainingReport:
        return train(trainer_of(load_model(seed_model("llama"), device="cpu")), config)

    training = replace(CONFIG, num_train_epochs=1)
    whole = trained(training)
    assert whole.max_tokens_per_batch == 2048
    monkeypatch.setattr(step, "MAX_BYTES_KEPT", 4 * 2**20)
    cut, asked = trained(training), trained(replace(training, max_tokens_per_batch=2048))
    assert 20 < cut.max_tokens_per_batch < 200 and asked.max_tokens_per_batch == 2048
    assert cut.loss_last == pytest.approx(whole.loss_last, rel=1e-4)
    assert asked.loss_last == whole.loss_last
