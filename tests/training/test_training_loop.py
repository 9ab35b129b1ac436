"""A training that is interrupted at any step and resumed ends with the very same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from selftrain.errors import ModelError
from selftrain.models.loading import LoadedModel, load_model
from selftrain.models.seeds import seed_model
from selftrain.training.base import RoundProgress, TrainingConfig
from selftrain.training.trainer import TransformersTrainer
from tests.training.small import EXAMPLES, Folders, InterruptedTrainingError, train, trainer_of, weights

#: Three steps an epoch. The optimizer spans the run, so that it can be compared afterwards.
CONFIG = TrainingConfig(
    learning_rate=1e-3, num_train_epochs=2, train_batch_size=4, optimizer_spans="run", start_from="previous",
    warmup_ratio=0.0,
)  # fmt: skip
PROGRESS = RoundProgress(2, 3)
VALUES = {"best": [0.5, 0.7, 0.6], "first_drop": [0.7, 0.5]}


class Metric:
    """A validation metric that is a function of the weights: the first training defines it for all others."""

    def __init__(self, values: list[float]) -> None:
        self.coming, self.known = iter(values), dict[bytes, float]()

    def of(self, loaded: LoadedModel) -> Callable[[], float]:
        def ask() -> float:
            seen = weights(loaded).numpy().tobytes()
            if seen not in self.known:
                self.known[seen] = next(self.coming)
            return self.known[seen]

        return ask


def fresh(name: str = "llama") -> LoadedModel:
    return load_model(seed_model(name), device="cpu")


def optimizer_of(trainer: TransformersTrainer, folder: Path) -> str:
    """A hash, since pytest takes minutes to show where megabytes differ."""
    trainer.save_state(folder)
    return hashlib.sha256((folder / "optimizer.safetensors").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("rule", "name", "every"),
    [
        ("best", "llama", 2),
        ("first_drop", "llama", 3),
        pytest.param("best", "llama", 1, marks=pytest.mark.slow),
        pytest.param("best", "gemma2", 2, marks=pytest.mark.slow),
        pytest.param("first_drop", "llama", 1, marks=pytest.mark.slow),
    ],
)
def test_resumed_after_any_step_or_validation_it_ends_the_same(tmp_path: Path, rule, name: str, every: int) -> None:
    metric, training, uninterrupted = Metric(VALUES[rule]), replace(CONFIG, early_stopping=rule), fresh(name)
    trainer = trainer_of(uninterrupted)
    report = train(trainer, training, round_progress=PROGRESS, validation_metric=metric.of(uninterrupted))
    assert (report.epochs, report.best_epoch) == ((2, 1) if rule == "best" else (1, 0))
    ends = [weights(uninterrupted), optimizer_of(trainer, tmp_path / "whole")]
    saving = Folders(tmp_path / "states")
    watched = fresh(name)
    train(
        trainer_of(watched), training, round_progress=PROGRESS, validation_metric=metric.of(watched), checkpoints=saving
    )
    assert torch.equal(weights(watched), ends[0]), "saving changes the training"
    assert len(saving.states) == report.steps + len(report.validation_metric)
    for number, state in list(enumerate(saving.states))[::every]:
        again = fresh(name)
        # Nothing may depend on the weights that a process begins with.
        torch.nn.init.zeros_(again.model.get_input_embeddings().weight)
        trainer, folders = trainer_of(again), Folders(None, latest=state)
        resumed = train(
            trainer, training, round_progress=PROGRESS, validation_metric=metric.of(again), checkpoints=folders
        )
        assert folders.asked == len(saving.states) - number - 1, "something was done twice"
        assert resumed == report
        assert torch.equal(weights(again), ends[0])
        assert optimizer_of(trainer, tmp_path / f"optimizer-{number}") == ends[1]


def test_resumed_after_every_single_step_it_ends_the_same(tmp_path: Path, trainable: LoadedModel) -> None:
    report = train(trainer_of(trainable), CONFIG)
    latest, seen = None, list[int]()
    for process in range(report.steps):
        again = fresh()
        folders = Folders(tmp_path / str(process), latest, interrupt_after=[1])
        with pytest.raises(InterruptedTrainingError):
            train(trainer_of(again), CONFIG, on_step=lambda done, *_: seen.append(done), checkpoints=folders)
        latest = folders.states[0]
    again = fresh()
    end = train(trainer_of(again), CONFIG, checkpoints=Folders(None, latest))
    assert end == report and report.bf16_changed > 0
    assert torch.equal(weights(again), weights(trainable))
    assert not seen, "on_step is called after the state is saved"


def test_dropout_is_the_same_after_a_resume(tmp_path: Path) -> None:
    def dropping() -> LoadedModel:
        loaded = fresh()
        loaded.model.get_input_embeddings().register_forward_hook(
            lambda module, _, out: torch.nn.functional.dropout(out, 0.2, module.training)
        )
        return loaded

    uninterrupted, plain, again = dropping(), fresh(), dropping()
    saving = Folders(tmp_path / "states")
    before = torch.get_rng_state()
    train(trainer_of(uninterrupted), CONFIG, checkpoints=saving)
    assert torch.equal(torch.get_rng_state(), before), "the caller's generator was touched"
    train(trainer_of(plain), CONFIG)
    assert not torch.equal(weights(uninterrupted), weights(plain)), "nothing was dropped"
    torch.rand(7)
    train(trainer_of(again), CONFIG, checkpoints=Folders(None, saving.states[2]))
    assert torch.equal(weights(again), weights(uninterrupted))


def test_an_optimizer_spans_rounds_and_processes(tmp_path: Path, trainable: LoadedModel) -> None:
    rounds = [EXAMPLES[:5], EXAMPLES[5:]]
    one = trainer_of(trainable)
    for number, examples in enumerate(rounds, start=1):
        train(one, CONFIG, examples=examples, seed=f"s{number}", round_progress=RoundProgress(number, 2))
    first = trainer_of(fresh())
    train(first, CONFIG, examples=rounds[0], seed="s1", round_progress=RoundProgress(1, 2))
    first.save(tmp_path / "weights")
    first.save_state(tmp_path / "state")

    def next_process() -> TransformersTrainer:
        trainer = trainer_of(fresh())
        trainer.load(tmp_path / "weights")
        trainer.load_state(tmp_path / "state")
        return trainer

    left = Folders(tmp_path / "states", interrupt_after=[2])
    with pytest.raises(InterruptedTrainingError):
        train(
            next_process(),
            CONFIG,
            examples=rounds[1],
            seed="s2",
            round_progress=RoundProgress(2, 2),
            checkpoints=left,
        )
    for trainer, folders in ((next_process(), None), (next_process(), Folders(None, left.states[-1]))):
        train(trainer, CONFIG, rounds[1], "s2", RoundProgress(2, 2), checkpoints=folders)
        assert all(torch.equal(a, b) for a, b in zip(trainer.model.parameters(), one.model.parameters(), strict=True))
        assert optimizer_of(trainer, tmp_path / "other") == optimizer_of(one, tmp_path / "one")


def test_an_optimizer_is_saved_only_where_it_spans_the_run(tmp_path: Path, trainable: LoadedModel) -> None:
    trainer = trainer_of(trainable)
    train(trainer, replace(CONFIG, optimizer_spans="round"))
    trainer.save_state(tmp_path / "round")
    train(trainer, CONFIG)
    trainer.load(seed_model("llama"))
    trainer.save_state(tmp_path / "cleared")
    assert not list(tmp_path.iterdir())
    trainer.load_state(tmp_path / "round")


def test_an_optimizer_of_another_model_is_refused(tmp_path: Path, trainable: LoadedModel) -> None:
    other = trainer_of(fresh("qwen2"))
    train(other, CONFIG, examples=EXAMPLES[:2])
    other.save_state(tmp_path)
    with pytest.raises(ModelError, match="not the optimizer state of this model"):
        trainer_of(trainable).load_state(tmp_path)


#: Of two steps.
SHORT = {"examples": EXAMPLES[:4], "config": replace(CONFIG, num_train_epochs=1, train_batch_size=2)}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of SHORT, interrupted after one step."""
    folders = Folders(tmp_path_factory.mktemp("states"), interrupt_after=[1])
    with pytest.raises(InterruptedTrainingError):
        train(trainer_of(fresh()), **SHORT, checkpoints=folders)
    return folders.states[-1]


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


@pytest.fixture(scope="module")
def trained_anew() -> LoadedModel:
    """By SHORT."""
    train(trainer_of(loaded := fresh()), **SHORT)
    return loaded


@pytest.mark.parametrize(
    ("change", "spoil"),
    [
        ({"seed": "t"}, None),
        ({"examples": [*EXAMPLES[:3], replace(EXAMPLES[3], weight=3.0)]}, None),
        ({"config": replace(SHORT["config"], learning_rate=2e-3)}, None),
        ({"round_progress": RoundProgress(1, 3)}, None),
        ({"validation_metric": lambda: 1.0}, None),
        ({}, lambda folder: cut(folder / "weights.safetensors")),
        ({}, lambda folder: cut(folder / "optimizer.safetensors")),
        ({}, lambda folder: cut(folder / "trainer_state.json")),
        ({}, lambda folder: (folder / "initial.safetensors").unlink()),
    ],
    ids=["seed", "examples", "settings", "round", "validation_metric", "weights", "optimizer", "json", "initial"],
)
def test_a_state_of_another_training_or_a_damaged_one_is_ignored(
    tmp_path: Path, state: Path, trained_anew: LoadedModel, llama: LoadedModel, change, spoil
) -> None:
    own = tmp_path / "state"
    own.mkdir()
    for file in state.iterdir():
        (own / file.name).write_bytes(file.read_bytes())
    if spoil:
        spoil(own)
    arguments = SHORT | change
    anew, given, steps = trained_anew if spoil else fresh(), fresh(), list[int]()
    if not spoil:
        train(trainer_of(anew), **arguments)
    train(trainer_of(given), **arguments, checkpoints=Folders(None, own), on_step=lambda done, *_: steps.append(done))
    assert steps == [1, 2]
    assert torch.equal(weights(given), weights(anew)) and not torch.equal(weights(given), weights(llama))


def test_a_state_of_another_model_is_ignored(state: Path) -> None:
    steps: list[int] = []
    train(
        trainer_of(fresh("qwen2")),
        **SHORT,
        checkpoints=Folders(None, state),
        on_step=lambda done, *_: steps.append(done),
    )
    assert steps == [1, 2]


def test_a_state_of_the_same_training_is_resumed(state: Path) -> None:
    """So that the refusals above are refusals."""
    steps: list[int] = []
    train(trainer_of(fresh()), **SHORT, checkpoints=Folders(None, state), on_step=lambda done, *_: steps.append(done))
    assert steps == [2]
