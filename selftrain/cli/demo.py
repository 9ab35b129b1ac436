"""What suits the seed models, by method: chosen with one seed on training problems, then fixed for all others."""

from __future__ import annotations

from dataclasses import dataclass

from selftrain.evaluation import EvalConfig
from selftrain.loop.collapse_monitor import MonitorConfig
from selftrain.methods import PST, RestEM, SePT
from selftrain.methods.base import Method
from selftrain.methods.pst import PSTEvalConfig, PSTTrainingConfig
from selftrain.methods.sept import SePTEvalConfig, SePTTrainingConfig
from selftrain.models.prompts import PromptConfig
from selftrain.training.base import TrainingConfig

#: The longest solutions of the seed models' problems have about 55 tokens.
LENGTH = 64
#: What the seed models were trained with; they end their answers themselves.
PROMPTS = PromptConfig(
    prompt_format="plain", instruction="", num_fewshot=0, stop_at_next_question=False, peer_layout="posted"
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    max_train_samples: int
    max_eval_samples: int
    method: Method
    training: TrainingConfig
    evaluation: EvalConfig
    monitor: MonitorConfig = MonitorConfig()


RECIPES = {
    "rest-em": Recipe(
        max_train_samples=500,
        max_eval_samples=600,
        method=RestEM(num_rounds=2, num_generations=8, max_completion_length=LENGTH),
        training=TrainingConfig(learning_rate=3e-4, num_train_epochs=2, validation_size=100),
        evaluation=EvalConfig(num_generations_eval=4, top_p_eval=1.0),
    ),
    "sept": Recipe(
        max_train_samples=4000,
        max_eval_samples=1000,
        method=SePT(num_rounds=40, temperature=0.3, max_completion_length=LENGTH),
        training=SePTTrainingConfig(learning_rate=2e-5, warmup_steps=4, validation_size=200),
        evaluation=SePTEvalConfig(
            num_generations_eval=4, top_p_eval=1.0, eval_rounds=20, temperature_sweep=(0.0, 0.2, 0.4, 0.6, 0.8)
        ),
    ),
    "pst": Recipe(
        max_train_samples=4000,
        max_eval_samples=1000,
        # The PMI of a token is about a hundredth of a nat here: without standardizing, all weights would be equal.
        method=PST(num_rounds=8, temperature=0.3, top_p=1.0, max_completion_length=LENGTH, pmi_standardize=True),
        training=PSTTrainingConfig(
            learning_rate=5e-5, train_batch_size=64, loss_normalization="token", validation_size=200
        ),
        evaluation=PSTEvalConfig(
            num_generations_eval=1,
            top_p_eval=1.0,
            eval_rounds=8,
            gv_gap=True,
            gv_gap_problems=100,
            gv_gap_generations=8,
            gv_gap_verifier="likelihood",
        ),
        monitor=MonitorConfig(probe_generations=2, consensus_generations=4),
    ),
}
