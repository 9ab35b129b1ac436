"""Whether an update of a running vLLM that went wrong is noticed, and one that went right is taken.

    python -m benchmarks.vllm_updates --vllm_python PY [--models llama ...] [--trials 20] [--workers 1]
        [--memory 0.06] [--bf16]

Each trial changes every weight by about 0.1 % twice. The first change is handed over as it is, of the second a tensor
drawn at random is damaged on its way. Prints how many were noticed, by log-probabilities and by sums; asserts nothing.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.turns import machine, table
from selftrain.engines.config import EngineConfig
from selftrain.engines.vllm.config import VllmConfig
from selftrain.engines.vllm.engine import VllmEngine
from selftrain.engines.vllm.held import HeldTensors
from selftrain.engines.vllm.live_model import write_weights
from selftrain.engines.vllm.probe import TOLERANCES, Probe
from selftrain.loop.model_factory import ModelFactory
from selftrain.models.prompts import PromptConfig
from selftrain.models.seeds import SEED_MODELS, seed_model

#: Of a tensor as it is and as it was before the change.
DAMAGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "zeros": lambda now, _: torch.zeros_like(now),
    "rows in another order": lambda now, _: now[torch.randperm(len(now))].clone(),
    "noise of 5 % of its standard deviation": lambda now, _: now + 0.05 * now.std() * torch.randn_like(now),
    "as it was before the change": lambda _, before: before,
}
STEP = 1e-3


class Updates:
    """A model, and a vLLM that is given it again and again, whatever comes of that."""

    def __init__(self, model: str, asked: argparse.Namespace) -> None:
        vllm = VllmConfig(
            vllm_python=asked.vllm_python, vllm_gpu_memory_utilization=asked.memory, vllm_enforce_eager=True,
            vllm_max_model_length=512, vllm_tensor_parallel_size=asked.workers,
        )  # fmt: skip
        config = EngineConfig(engine="vllm", bf16=asked.bf16)
        factory = ModelFactory(PromptConfig(), config, engine_sections={"vllm": vllm}, say=print)
        path = seed_model(model) if model in SEED_MODELS else model
        self.learner = factory.load(path)
        engine: Any = self.learner.engine
        assert isinstance(engine, VllmEngine)
        self.process, self.model = engine.live.process(), engine.reference.model
        self.dtype = engine.live.dtype
        self.probe, self.held = Probe(engine.reference, 512), HeldTensors(self.model, self.dtype)
        self.compare()

    def change(self) -> None:
        with torch.no_grad():
            for one in self.model.parameters():
                one.mul_(1 + STEP * torch.randn_like(one))

    def save(self, folder: Path) -> None:
        self.learner.trainer.save_merged(folder)

    def give(self, save: Callable[[Path], None]) -> tuple[float, bool]:
        """Nats a token from the trainer's, and whether all tensors that can be compared are the trainer's."""
        self.process.call({"weights": write_weights(save, self.process.weights)})
        for file in self.process.weights.iterdir():
            file.unlink()
        self.process.weights.rmdir()
        return self.compare()

    def compare(self) -> tuple[float, bool]:
        rows = self.process.call({"batches": [self.probe.batch()]})["batch"]
        is_equal, words = self.held.compare(self.process.call({"held": self.held.shapes()})["held"])
        far = self.probe.difference(rows)
        print(f"    {far:.2g} nats a token, {words}", flush=True)
        return far, is_equal


def measure(model: str, asked: argparse.Namespace) -> list[list[str]]:
    """Rows of the table."""
    torch.manual_seed(0)
    chance, updates = random.Random(0), Updates(model, asked)
    found: dict[str, list[tuple[float, bool]]] = {name: [] for name in ("none", *DAMAGES)}
    for trial in range(asked.trials):
        updates.change()
        found["none"].append(updates.give(updates.save))
        weights = dict(updates.model.named_parameters())
        damage, name = [*DAMAGES][trial % len(DAMAGES)], chance.choice(sorted(weights))
        before = weights[name].detach().clone()
        updates.change()
        print(f"{model}, trial {trial}: {name}, {damage}")

        def save(folder: Path, name: str = name, damage: str = damage, old: Tensor = before) -> None:
            updates.save(folder)
            (file,) = folder.glob("*.safetensors")
            tensors, new = load_file(file), file.with_suffix(".new")
            save_file({**tensors, name: DAMAGES[damage](tensors[name], old)}, new, metadata={"format": "pt"})
            new.replace(file)

        found[damage].append(updates.give(save))
    updates.learner.close()
    limit = TOLERANCES[updates.dtype]
    return [
        [
            model, damage, f"{min(far for far, _ in one):.2g} to {max(far for far, _ in one):.2g}",
            *(
                f"{sum(noticed)} of {len(one)}"
                for noticed in (
                    [far > limit for far, _ in one],
                    [not is_equal for _, is_equal in one],
                    [far > limit or not is_equal for far, is_equal in one],
                )
            ),
        ]
        for damage, one in found.items()
        if one
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vllm_python", required=True)
    parser.add_argument("--models", nargs="+", default=[*SEED_MODELS])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1, help="of vLLM, over which the model is sharded")
    parser.add_argument("--memory", type=float, default=0.06, help="share of the machine's that vLLM may take")
    parser.add_argument("--bf16", action="store_true")
    asked = parser.parse_args()
    rows = [row for model in asked.models for row in measure(model, asked)]
    head = ("model", "damage", "nats a token", "noticed by log-probabilities", "by sums", "by either")
    print(f"\n{machine()}; {asked.trials} trials of each model\n\n{table(head, rows)}")


if __name__ == "__main__":
    main()
