"""The position of a training without its tensors, and whether a saved one belongs to this very training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

FILE = "trainer_state.json"


@dataclass
class TrainerState:
    """
    TrainerState("9f86d081...", max_tokens_per_batch=2048, losses=[2.1, None, 1.9], values=[0.41])
    """

    #: See `fingerprint`.
    fingerprint: str
    #: Tokens of one micro-batch, padding included; 0 for a trainer without micro-batches.
    max_tokens_per_batch: int = 0
    #: One per step; None for a step that was skipped.
    losses: list[float | None] = field(default_factory=list)
    #: The validation metric at epoch 0, 1, ...
    values: list[float] = field(default_factory=list)
    best_epoch: int = 0
    #: Indices of the examples whose loss or gradient alone is not finite.
    not_finite_examples: list[int] = field(default_factory=list)

    @property
    def skipped(self) -> int:
        return self.losses.count(None)

    @property
    def finite_losses(self) -> list[float]:
        return [loss for loss in self.losses if loss is not None]

    def write(self, folder: Path) -> None:
        (folder / FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path | None, fingerprint: str) -> TrainerState | None:
        """What `write` saved in a folder; None where nothing readable of this training is there."""
        try:
            found = None if folder is None else cls(**json.loads((folder / FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return found if found is not None and found.fingerprint == fingerprint else None


def fingerprint(parts: Iterable[object]) -> str:
    """A hash of everything a training depends on, each part by its `repr`."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr(part).encode() + b"\n")
    return digest.hexdigest()
