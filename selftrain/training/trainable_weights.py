"""Which weights of a model are trained, and how they are saved and loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selftrain.models.loading import load_model, no_progress_bars


class WholeModel:
    """All weights of a live model. A subclass trains others."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def initialize(self, seed: str) -> None:
        """Called when a training starts: weights that are new, of which there are none, are a function of `seed`."""

    def load(self, weights: str | Path) -> None:
        """Copies saved weights into the live module, which the engine shares."""
        fresh = load_model(str(weights), device="cpu").model
        self._model.load_state_dict(fresh.state_dict())

    def save(self, folder: Path) -> None:
        """Writes a folder for `from_pretrained`, without the tokenizer."""
        with no_progress_bars():
            self._model.save_pretrained(folder)

    @property
    def saved_bytes(self) -> int:
        """Of what `save` writes."""
        return sum(weight.nbytes for weight in self._model.parameters())

    def save_merged(self, folder: Path) -> None:
        """The same with an adapter merged into its base model."""
        self.save(folder)
