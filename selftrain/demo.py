"""`selftrain demo`: a small model teaches itself word problems, offline, on a CPU, in minutes."""

from __future__ import annotations

import itertools
from pathlib import Path

from selftrain.commands import finish
from selftrain.evaluation import Evaluation
from selftrain.learning.base import Learning
from selftrain.methods import RestEM
from selftrain.problems import load_problems
from selftrain.sections import DemoSettings
from selftrain.seeds import seed_model
from selftrain.selftrainer import SelfTrainer
from selftrain.settings import Resolved


def run(settings: Resolved) -> int:
    asked = settings[DemoSettings]
    trainer = SelfTrainer(
        method=RestEM(
            num_rounds=asked.num_rounds, num_generations=8, max_completion_length=64, deduplicate=asked.deduplicate
        ),
        model=seed_model(asked.model_name),
        train_dataset=load_problems(
            "word_problems", split="train", max_problems=asked.max_train_samples, seed=asked.seed
        ),
        # Seed 0 for every run: runs that differ in their seed are measured on the same problems.
        eval_dataset=load_problems("word_problems", split="test", max_problems=asked.max_eval_samples, seed=0),
        reward_funcs=asked.reward_funcs,
        # Chosen on problems of the training stream with one seed, then frozen for every other.
        learning=Learning(learning_rate=3e-4, num_train_epochs=2, validation_size=100),
        evaluation=Evaluation(num_generations_eval=4, top_p_eval=1.0),
        output_dir=_free(Path(asked.output_dir)),
        seed=asked.seed,
        sampling_batch_size=256,
        settings_yaml=settings.to_yaml(),
    )
    return finish(trainer.train(), asked.json)


def _free(wanted: Path) -> Path:
    """`wanted`, or the first of wanted-2, wanted-3, ... that holds nothing: a demo never needs a clean-up first."""
    candidates = itertools.chain(
        [wanted], (wanted.with_name(f"{wanted.name}-{number}") for number in itertools.count(2))
    )
    return next(path for path in candidates if not path.exists() or not any(path.iterdir()))
