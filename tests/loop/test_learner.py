"""Invariants of ReST-EM that span engine and trainer (the papers' and ours), on a real model."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from selftrain.graders import open_grader
from selftrain.loop.learner import Learner
from selftrain.loop.progress import Progress
from selftrain.methods import RestEM
from selftrain.models.loading import LoadedModel
from selftrain.models.seeds import seed_model
from selftrain.storage import RunFolder
from selftrain.trainer import SelfTrainer
from selftrain.training.base import RoundProgress, TrainingConfig, TrainingJob
from selftrain.training.trainer import TransformersTrainer
from selftrain.types import Problem, Prompt, Response, TrainingExample
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


def test_a_run_keeps_the_papers_invariants(tmp_path: Path) -> None:
    SelfTrainer(
        method=RestEM(num_rounds=1, num_generations=4, max_completion_length=48),
        model=seed_model("llama"), train_dataset="word_problems", output_dir=tmp_path / "run",
        max_train_samples=80, max_eval_samples=10, progress=Progress(quiet=True),
    ).train()  # fmt: skip
    folder = RunFolder.open(tmp_path / "run")
    kept = folder.query("select problem_id, question, reference, prompt, completion from samples where kept").fetchall()
    assert kept
    responses = [Response(Prompt(i, q), p, 0, c, (1,), 0.0, "stop", "m", 0) for i, q, _, p, c in kept]
    problems = {i: Problem(i, q, reference) for i, q, reference, _, _ in kept}
    with open_grader("math") as grader:
        assert all(score.value == 1.0 for score in grader.grade(responses, problems)), "a kept target is not right"
    layout = "select prompt, question from samples union all select prompt, question from evaluations"
    assert all(prompt == f"Question: {question}\nAnswer:" for prompt, question in folder.query(layout).fetchall())
