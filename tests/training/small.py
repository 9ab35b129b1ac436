"""A training of seconds on a seed model, and a place for its states."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from selftrain.models.loading import LoadedModel
from selftrain.models.prompts import PromptConfig
from selftrain.models.rendering import Renderer
from selftrain.training.base import (
    RoundProgress,
    Trainer,
    TrainingConfig,
    TrainingHooks,
    TrainingJob,
    TrainingReport,
)
from selftrain.training.trainer import TransformersTrainer
from selftrain.types import Prompt, TrainingExample

FIRST = RoundProgress()
EXAMPLES = [
    TrainingExample(Prompt(f"p{i}", f"Tom has {i} apples."), f" {i}+1={i + 1}. #### {i + 1}", None, 1.0 + i % 2)
    for i in range(10)
]


def trainer_of(loaded: LoadedModel) -> TransformersTrainer:
    return TransformersTrainer(loaded.model, Renderer(loaded.tokenizer, PromptConfig(), loaded.stop_ids))


def weights(loaded: LoadedModel) -> torch.Tensor:
    return torch.cat([p.detach().flatten().clone() for p in loaded.model.parameters()])


@contextmanager
def gradients_of(model: torch.nn.Module) -> Iterator[list[torch.Tensor]]:
    """The gradient of each update, flat and clipped, as the optimizer is given it."""
    seen: list[torch.Tensor] = []
    hook = register_optimizer_step_pre_hook(
        lambda *_: seen.append(torch.cat([p.grad.flatten().clone() for p in model.parameters() if p.grad is not None]))
    )
    try:
        yield seen
    finally:
        hook.remove()


class InterruptedTrainingError(Exception):
    """What ends a process in these tests."""


class Folders:
    """Saves each state in a folder of its own, or none without a place; raises an error after some of them."""

    def __init__(self, place: Path | None, latest: Path | None = None, interrupt_after: Collection[int] = ()) -> None:
        self.place, self.latest, self.interrupt_after = place, latest, interrupt_after
        self.asked, self.states = 0, list[Path]()

    def due(self) -> bool:
        self.asked += 1
        return self.place is not None

    def save(self, write: Callable[[Path], None]) -> None:
        assert self.place is not None
        folder = self.place / str(len(self.states))
        folder.mkdir(parents=True, exist_ok=True)
        write(folder)
        self.states.append(folder)
        if len(self.states) in self.interrupt_after:
            raise InterruptedTrainingError


def train(
    trainer: Trainer, config: TrainingConfig, examples: Sequence[TrainingExample] = EXAMPLES, seed: str = "s",
    round_progress: RoundProgress = FIRST, **hooks: Any,
) -> TrainingReport:  # fmt: skip
    return trainer.train(TrainingJob(examples, config, seed, round_progress), TrainingHooks(**hooks))
