"""The runs that the claims are judged by: every arm differs from its counterpart in the one thing that is claimed.

Settings were chosen on problems of the training stream with seed 42 and then frozen; no claim is run with that seed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from selftrain.engines.config import EngineConfig
from selftrain.evaluation import EvalConfig
from selftrain.loop.collapse_monitor import MonitorConfig
from selftrain.methods import PST, RestEM, SePT
from selftrain.methods.pst import PSTEvalConfig, PSTTrainingConfig
from selftrain.methods.sept import SePTEvalConfig, SePTTrainingConfig
from selftrain.models.seeds import SEED_MODELS, seed_model
from selftrain.problems import load_problems
from selftrain.trainer import SelfTrainer
from selftrain.training.base import TrainingConfig

LENGTH, EVALUATED, TRAINED = 64, 250, 450

#: As users have it, but for fewer answers to the probe: an arm that falls apart is stopped, and compared as it stands.
WATCH = MonitorConfig(probe_rounds=5, probe_generations=1, consensus_generations=6)


def rest_em(seed: int, rounds: int = 3, training: dict[str, Any] | None = None, **method: Any) -> dict[str, Any]:
    own: dict[str, Any] = {"num_generations": 8, "max_completion_length": LENGTH, "deduplicate": "exact"} | method
    return {
        "method": RestEM(num_rounds=rounds, **own),
        "model": seed_model("llama"),
        "train_dataset": load_problems("word_problems", split="train", max_problems=TRAINED, seed=seed),
        "training": TrainingConfig(
            **({"learning_rate": 3e-4, "num_train_epochs": 2, "validation_size": 100} | (training or {}))
        ),
        "evaluation": EvalConfig(num_generations_eval=4, top_p_eval=1.0, eval_rounds=rounds),
        "monitor": WATCH,
    }


def sept(
    seed: int, rounds: int = 30, training: dict[str, Any] | None = None, temperature: float = 0.3, **method: Any
) -> dict[str, Any]:
    return {
        "method": SePT(num_rounds=rounds, temperature=temperature, max_completion_length=LENGTH, **method),
        "model": seed_model("llama"),
        "train_dataset": load_problems("word_problems", split="train", max_problems=4000, seed=seed),
        "training": SePTTrainingConfig(
            **({"learning_rate": 2e-5, "warmup_steps": 4, "validation_size": 100} | (training or {}))
        ),
        "evaluation": SePTEvalConfig(
            num_generations_eval=4, top_p_eval=1.0, eval_rounds=rounds,
            temperature_sweep=(0.0, 0.2, 0.4, 0.6, 0.8) if not method else (),
        ),
        "monitor": WATCH,
    }  # fmt: skip


def pst(seed: int, rounds: int = 10, **method: Any) -> dict[str, Any]:
    return {
        "method": PST(
            num_rounds=rounds, temperature=0.3, top_p=1.0, max_completion_length=LENGTH, pmi_standardize=True, **method
        ),
        "model": [seed_model(name) for name in SEED_MODELS],
        "train_dataset": load_problems("word_problems", split="train", max_problems=4000, seed=seed),
        "training": PSTTrainingConfig(
            learning_rate=5e-5, train_batch_size=64, loss_normalization="token", validation_size=100
        ),
        "evaluation": PSTEvalConfig(
            num_generations_eval=0, top_p_eval=1.0, eval_rounds=rounds, gv_gap=not method, gv_gap_problems=250,
            gv_gap_generations=8, gv_gap_verifier="likelihood",
        ),
        "monitor": WATCH,
    }  # fmt: skip


#: PST's single-model counterpart: the same problems, temperature, learning rate, updates and number of answers
#: trained on, but a model's own solo answers.
ALONE = {
    "learning_rate": 5e-5, "train_batch_size": 64, "warmup_steps": 0, "weight_decay": 0.0, "warmup_ratio": 0.0,
}  # fmt: skip

ARMS: dict[str, Callable[[int], dict[str, Any]]] = {
    "rest-em": rest_em,
    "rest-em one round, 3x samples": lambda seed: rest_em(seed, rounds=1, num_generations=24, max_kept_per_problem=30),
    "rest-em one model solution": lambda seed: rest_em(seed, rounds=1, max_kept_per_problem=1),
    "rest-em one human solution": lambda seed: rest_em(seed, rounds=1, max_kept_per_problem=1, solutions="human"),
    "rest-em continued": lambda seed: rest_em(seed, training={"start_from": "previous"}),
    "rest-em cap 3": lambda seed: rest_em(seed, max_kept_per_problem=3),
    "sept": sept,
    "sept offline": lambda seed: sept(seed, refresh="never"),
    "sept coupled": lambda seed: sept(seed, couple_temperatures=True),
    "pst": pst,
    "pst weights 1": lambda seed: pst(seed, pmi_weights="one"),
    "pst weights shuffled": lambda seed: pst(seed, pmi_weights="shuffled"),
    "pst own answer (B)": lambda seed: pst(seed, target="own"),
    "pst own answer in context (C)": lambda seed: pst(seed, target="own_in_context"),
    "alone": lambda seed: sept(seed, rounds=10, training=ALONE, temperature=0.3, temperature_end=0.3, anneal_share=0.0),
}


def trainer(name: str, seed: int, folder: Path) -> SelfTrainer:
    return SelfTrainer(
        **ARMS[name](seed),
        # Seed 0 for every run: all arms and seeds are measured on the same problems.
        eval_dataset=load_problems("word_problems", split="test", max_problems=EVALUATED, seed=0),
        output_dir=folder,
        seed=seed,
        engine=EngineConfig(sampling_batch_size=256),
    )
