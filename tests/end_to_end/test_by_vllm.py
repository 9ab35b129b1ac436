"""A run whose answers are vLLM's: SELFTRAIN_VLLM_PYTHON names a Python that has it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selftrain.engines.config import EngineConfig
from selftrain.engines.vllm.config import VllmConfig
from selftrain.evaluation import EvalConfig
from selftrain.loop.progress import Progress
from selftrain.loop.result import Result
from selftrain.methods import RestEM
from selftrain.models.seeds import seed_model
from selftrain.problems import load_problems
from selftrain.trainer import SelfTrainer
from selftrain.training.base import TrainingConfig
from tests.engines.vllm.pythons import python_with_vllm


def run(folder: Path, engine_config: EngineConfig, vllm: VllmConfig) -> Result:
    """The demo, but smaller, and with the weights of its last epoch."""
    return SelfTrainer(
        method=RestEM(num_rounds=1, num_generations=8, max_completion_length=64),
        model=seed_model("llama"),
        train_dataset=load_problems("word_problems", split="train", max_problems=200, seed=1),
        eval_dataset=load_problems("word_problems", split="test", max_problems=100, seed=0),
        training=TrainingConfig(learning_rate=3e-4, num_train_epochs=2, early_stopping="off", validation_size=20),
        evaluation=EvalConfig(num_generations_eval=2, top_p_eval=1.0),
        engine=engine_config,
        vllm=vllm,
        output_dir=folder,
        progress=Progress(quiet=True),
    ).train()


@pytest.mark.slow
def test_rest_em_comes_to_the_same_by_vllm_as_by_transformers(tmp_path: Path) -> None:
    small = VllmConfig(
        vllm_python=python_with_vllm(), vllm_gpu_memory_utilization=0.06, vllm_enforce_eager=True,
        vllm_max_model_length=512,
    )  # fmt: skip
    ours = run(tmp_path / "ours", EngineConfig(engine="transformers"), VllmConfig())
    vllms = run(tmp_path / "vllms", EngineConfig(engine="vllm"), small)
    told = json.loads((vllms.output_dir / "environment.json").read_text())["engines"]
    assert told["llama"].startswith("vLLM 0.")
    # Nobody's chance is in a greedy answer of the untouched model.
    assert vllms.metrics[0]["greedy"] == ours.metrics[0]["greedy"]
    for one in (ours, vllms):
        assert one.rounds[1].against_base["greedy"].difference > 0
    for name in ("greedy", "pass@1"):
        (low, high), (its_low, its_high) = (
            (one.rounds[1].metrics[name].low, one.rounds[1].metrics[name].high) for one in (ours, vllms)
        )
        assert low <= its_high and its_low <= high
