"""The weights of a training: what is saved of a model, and how it is loaded again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from selftrain.models.loading import load_model, without_bars


class TrainableWeights(Protocol):
    """What is trained of a live model."""

    def begin(self, seed: str) -> None:
        """A training begins; what there is of chance in its first weights is a function of `seed`."""
        ...

    def load(self, weights: str | Path) -> None:
        """Copies saved weights into the live module; the module itself stays, since the engine shares it."""
        ...

    def save(self, folder: Path) -> None:
        """For `from_pretrained`, without the tokenizer."""
        ...

    def save_merged(self, folder: Path) -> None:
        """The same as one whole model."""
        ...


class WholeModel:
    """All weights of a model."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def begin(self, seed: str) -> None:
        """They are there already."""

    def load(self, weights: str | Path) -> None:
        fresh = load_model(str(weights), device="cpu").model
        self._model.load_state_dict(fresh.state_dict())

    def save(self, folder: Path) -> None:
        with without_bars():
            self._model.save_pretrained(folder)

    def save_merged(self, folder: Path) -> None:
        self.save(folder)
