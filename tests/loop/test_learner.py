"""Invariants of ReST-EM that span engine and trainer (the papers' and ours), on a real model."""

from __future__ import annotations

import hashlib

import pytest

from selftrain.loop.learner import Learner
from selftrain.models.loading import LoadedModel
from selftrain.models.seeds import seed_model
from selftrain.training.base import RoundProgress, TrainingConfig, TrainingJob
from selftrain.training.trainer import TransformersTrainer
from selftrain.types import Prompt, TrainingExample
from tests.conftest import engine_of

EXAMPLES = [TrainingExample(Prompt(f"p{i}", f"Tom has {i} apples."), f" #### {i}") for i in range(8)]


class Watched(TransformersTrainer):
    """Notes the weights from which each training starts."""

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self.starts: list[str] = []

    def train(self, *arguments):
        parts = (value.numpy().tobytes() for value in self.model.state_dict().values())
        self.starts.append(hashlib.sha256(b"".join(parts)).hexdigest())
        return super().train(*arguments)


@pytest.mark.parametrize("start_from", ["base", "previous"])
def test_every_round_starts_from_the_base_weights_unless_asked_otherwise(trainable: LoadedModel, start_from) -> None:
    engine = engine_of(trainable)
    trainer = Watched(trainable.model, engine.renderer)
    learner = Learner(engine, trainer, seed_model("llama"))
    for number in (1, 2, 3):
        training = TrainingConfig(learning_rate=1e-3, start_from=start_from, num_train_epochs=1)
        learner.train(TrainingJob(EXAMPLES, training, "s", RoundProgress(number, 3)))
    assert len(set(trainer.starts)) == (1 if start_from == "base" else 3)
    assert learner.weights_version == 3
