"""`selftrain demo`: small models teach themselves word problems, offline, on a CPU, in minutes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from selftrain.cli.run_commands import finish
from selftrain.cli.sections import DemoConfig
from selftrain.config import Resolved
from selftrain.engines.config import EngineConfig
from selftrain.engines.ray.config import RayConfig
from selftrain.evaluation import EvalConfig
from selftrain.loop.collapse_monitor import MonitorConfig
from selftrain.loop.stopping import BudgetConfig
from selftrain.methods import PST, RestEM, SePT
from selftrain.methods.base import Method
from selftrain.methods.pst import PSTTrainingConfig
from selftrain.methods.sept import SePTTrainingConfig
from selftrain.models.seeds import SEED_MODELS, seed_model
from selftrain.problems import load_problems
from selftrain.trainer import SelfTrainer
from selftrain.training.base import TrainingConfig

#: The longest solutions of the seed models' problems have about 55 tokens.
LENGTH = 64


@dataclass(frozen=True)
class Recipe:
    """What suits the seed models: chosen on problems of the training stream with one seed, then frozen for others."""

    max_train_samples: int
    max_eval_samples: int
    num_rounds: int
    method: Callable[[DemoConfig, int], Method]
    training: TrainingConfig
    evaluation: EvalConfig
    monitor: MonitorConfig = MonitorConfig()


RECIPES = {
    "rest-em": Recipe(
        500,
        600,
        2,
        lambda asked, rounds: RestEM(
            num_rounds=rounds, num_generations=8, max_completion_length=LENGTH, deduplicate=asked.deduplicate
        ),
        TrainingConfig(learning_rate=3e-4, num_train_epochs=2, validation_size=100),
        EvalConfig(num_generations_eval=4, top_p_eval=1.0),
    ),
    "sept": Recipe(
        4000,
        1000,
        40,
        lambda _, rounds: SePT(num_rounds=rounds, temperature=0.3, max_completion_length=LENGTH),
        SePTTrainingConfig(learning_rate=2e-5, warmup_steps=4, validation_size=200),
        EvalConfig(num_generations_eval=4, top_p_eval=1.0, eval_rounds=20, temperature_sweep=(0.0, 0.2, 0.4, 0.6, 0.8)),
    ),
    "pst": Recipe(
        4000,
        1000,
        8,
        # A token's PMI is a hundredth of a nat here: standardised, or all weights would be alike.
        lambda _, rounds: PST(
            num_rounds=rounds, temperature=0.3, top_p=1.0, max_completion_length=LENGTH, pmi_standardize=True
        ),
        PSTTrainingConfig(learning_rate=5e-5, train_batch_size=64, loss_normalization="token", validation_size=200),
        EvalConfig(
            num_generations_eval=1, top_p_eval=1.0, eval_rounds=8, gv_gap=True, gv_gap_problems=100,
            gv_gap_generations=8, gv_gap_verifier="likelihood",
        ),
        MonitorConfig(probe_generations=2, consensus_generations=4),
    ),
}  # fmt: skip


def run(settings: Resolved, resume: bool = False) -> int:
    asked = settings[DemoConfig]
    recipe = RECIPES[asked.method]
    train_size = asked.max_train_samples or recipe.max_train_samples
    test_size = asked.max_eval_samples or recipe.max_eval_samples
    trainer = SelfTrainer(
        method=recipe.method(asked, asked.num_rounds or recipe.num_rounds),
        model=[seed_model(name) for name in (SEED_MODELS if asked.method == "pst" else [asked.model_name])],
        train_dataset=load_problems("word_problems", split="train", max_problems=train_size, seed=asked.seed),
        # Seed 0 for every run: runs that differ in their seed are measured on the same problems.
        eval_dataset=load_problems("word_problems", split="test", max_problems=test_size, seed=0),
        reward_funcs=asked.reward_funcs,
        training=recipe.training,
        evaluation=recipe.evaluation,
        monitor=recipe.monitor,
        output_dir=asked.output_dir if resume else _free(Path(asked.output_dir)),
        seed=asked.seed,
        engine_config=EngineConfig(sampling_batch_size=256),
        settings_yaml=settings.to_yaml(),
        command="demo",
        budget=settings[BudgetConfig],
        cluster=settings[RayConfig],
    )
    return finish(trainer.train(resume), asked.json)


def _free(wanted: Path) -> Path:
    """`wanted`, or the first of wanted-2, wanted-3, ... that holds nothing: a demo never needs a clean-up first."""
    candidates = itertools.chain(
        [wanted], (wanted.with_name(f"{wanted.name}-{number}") for number in itertools.count(2))
    )
    return next(path for path in candidates if not path.exists() or not any(path.iterdir()))
