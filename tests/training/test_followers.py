"""Several processes train as one would: the same losses, one report, and no waiting for the dead."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from selftrain.errors import RunError, SettingsError
from selftrain.models.adapter import AdapterConfig
from selftrain.models.loading import load_model
from selftrain.models.prompts import PromptConfig
from selftrain.models.rendering import Renderer
from selftrain.models.seeds import seed_model
from selftrain.training.base import TrainingConfig, TrainingReport
from selftrain.training.followers import Followers, assign_batches, follower_devices
from selftrain.training.trainer import TransformersTrainer
from tests.training.small import EXAMPLES, Folders, InterruptedTrainingError, train

#: Several micro-batches a step.
CONFIG = TrainingConfig(learning_rate=1e-3, num_train_epochs=2, train_batch_size=5, max_tokens_per_batch=60)
MODEL = seed_model("llama")


def trainer_of(
    processes: int, adapter: AdapterConfig | None = None, bf16: bool = False, followers_load: str = MODEL
) -> TransformersTrainer:
    adapter = adapter or AdapterConfig()
    loaded, trained = load_model(MODEL, device="cpu"), None
    if adapter.use_peft:
        from selftrain.training.lora import LoraAdapter

        trained = LoraAdapter(loaded.model, adapter, MODEL)
    loading = {"model": followers_load, "revision": "main", "adapter": asdict(adapter)}
    followers = Followers(loading, ["cpu"] * (processes - 1)) if processes > 1 else None
    renderer = Renderer(loaded.tokenizer, PromptConfig(), loaded.stop_ids)
    return TransformersTrainer(loaded.model, renderer, bf16=bf16, trained=trained, followers=followers)


def followed(trainer: TransformersTrainer, training: TrainingConfig = CONFIG) -> tuple[list[float], TrainingReport]:
    losses: list[float] = []
    report = train(trainer, training, on_step=lambda done, total, loss: losses.append(loss))
    return losses, report


def weights(trainer: TransformersTrainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten().clone() for p in trainer.model.parameters()])


@pytest.fixture
def pair() -> Iterator[TransformersTrainer]:
    trainer = trainer_of(2)
    yield trainer
    trainer.close()


def pids() -> list[int]:
    """Of the followers of this process that are running."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"selftrain.training.follower" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return sorted(found)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
def test_the_losses_are_those_of_one_process(processes: int) -> None:
    several, one = trainer_of(processes), trainer_of(1)
    try:
        (found, report), (expected, alone) = followed(several), followed(one)
        assert found[0] == expected[0], "the same weights, micro-batches and order of sums"
        assert found == pytest.approx(expected, abs=1e-5)
        assert (weights(several) - weights(one)).abs().max() < 1e-4
        assert replace(report, loss_first=0, loss_last=0, bf16_changed=0) == replace(
            alone, loss_first=0, loss_last=0, bf16_changed=0
        )
        # The processes stay for the next training.
        before = pids()
        assert followed(several)[0] == pytest.approx(followed(one)[0], abs=1e-4) and pids() == before
        assert not torch.distributed.is_initialized()
    finally:
        several.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in before)


@pytest.mark.slow
def test_bfloat16_checkpointing_and_dropout_are_those_of_one_process() -> None:
    """Dropout is seeded by micro-batch, whichever process computes it."""
    pytest.importorskip("peft", reason="adapters are trained through peft: pip install 'selftrain[peft]'")
    adapter = AdapterConfig(use_peft=True, lora_dropout=0.3, lora_target_modules=("all-linear",))
    found = []
    for processes in (1, 2):
        trainer = trainer_of(processes, adapter, bf16=True)
        try:
            found.append(followed(trainer, replace(CONFIG, gradient_checkpointing=True))[0])
        finally:
            trainer.close()
        trained = {p.dtype for p in trainer.model.parameters() if p.requires_grad}
        assert trained == {torch.float32}
    assert found[0] == pytest.approx(found[1], abs=1e-5) and found[0][-1] < found[0][0]


@pytest.mark.slow
def test_interrupted_and_resumed_it_ends_with_the_same_bytes(pair: TransformersTrainer, tmp_path: Path) -> None:
    _, report = followed(pair)
    whole = weights(pair)
    pair.load(MODEL)
    left = Folders(tmp_path, interrupt_after=[2])
    with pytest.raises(InterruptedTrainingError):
        train(pair, CONFIG, checkpoints=left)
    assert not pids()
    pair.load(MODEL)
    again = train(pair, CONFIG, checkpoints=Folders(None, left.states[-1]))
    assert again == report and torch.equal(weights(pair), whole)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "killed while it computes", "stopped"])
def test_a_lost_follower_ends_the_training_with_a_message(
    pair: TransformersTrainer, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def hurt(done: int, *_: object) -> None:
        if done == 2:
            seen.extend(pids())
            if how == "stopped":
                monkeypatch.setattr("selftrain.training.followers.REPLY_TIMEOUT", 5.0)
            os.kill(seen[0], signal.SIGSTOP if how != "killed" else signal.SIGKILL)
            if how == "killed while it computes":
                os.system(f"(sleep 1; kill -KILL {seen[0]}) &")

    train(pair, replace(CONFIG, num_train_epochs=1), seed="warm")
    began = time.monotonic()
    with pytest.raises(RunError) as raised:
        train(pair, CONFIG, on_step=hurt)
    assert time.monotonic() - began < 200
    monkeypatch.undo()
    assert "a training process" in raised.value.found and "resume" in raised.value.do
    assert not torch.distributed.is_initialized()
    assert not Path(f"/proc/{seen[0]}").exists()
    assert followed(pair)[1].steps == 4, "the next training has processes again"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_out_of_memory_in_a_follower_makes_all_repeat_the_step(pair: TransformersTrainer) -> None:
    training = replace(CONFIG, train_batch_size=400, max_tokens_per_batch=6000)
    found: dict[int, list[float]] = {}

    def limit(*_: object) -> None:
        taken = int(Path(f"/proc/{pids()[0]}/statm").read_text().split()[0]) * resource.getpagesize()
        resource.prlimit(pids()[0], resource.RLIMIT_AS, (taken + (30 << 20), resource.RLIM_INFINITY))

    for processes, trainer, hurt in ((1, trainer_of(1), None), (2, pair, limit)):
        losses: list[float] = []

        def on_step(done: int, _: int, loss: float, losses: list[float] = losses, hurt: Any = hurt) -> None:
            losses.append(loss)
            if done == 1 and hurt is not None:
                hurt()

        report = train(trainer, training, examples=EXAMPLES * 40, on_step=on_step)
        found[processes] = losses
    assert report.max_tokens_per_batch < 6000, "nothing failed"
    assert (report.steps, report.skipped) == (2, 0)
    assert found[2] == pytest.approx(found[1], abs=1e-5)


@pytest.mark.slow
def test_a_follower_that_cannot_load_reports_its_error() -> None:
    trainer = trainer_of(2, followers_load="not/there")
    with pytest.raises(RunError, match=r"ModelError: .*not/there"):
        followed(trainer)


def test_batches_are_assigned_evenly_and_completely() -> None:
    assert assign_batches([3, 5, 3, 4, 3], 2) == [[1, 2], [0, 3, 4]]
    assert assign_batches([7], 3) == [[0], [], []]
    sizes = [(i * 37) % 11 + 1 for i in range(40)]
    found = assign_batches(sizes, 4)
    assert sorted(number for share in found for number in share) == [*range(40)]
    laden = [sum(sizes[number] for number in share) for share in found]
    assert max(laden) - min(laden) <= max(sizes)


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without GPUs")
def test_more_processes_than_gpus_are_refused() -> None:
    assert follower_devices(torch.device("cpu"), 3) == ["cpu", "cpu"]
    with pytest.raises(SettingsError, match="training_processes is 2, and there are 0 GPUs"):
        follower_devices(torch.device("cuda:0"), 2)
