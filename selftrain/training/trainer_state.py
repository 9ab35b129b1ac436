"""Where a training stands, apart from its tensors, and whether a state is of this very training."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

FILE = "training.json"


@dataclass
class TrainerState:
    """
    Standing(fingerprint="9f86d081...", budget=2048, losses=[2.1, None, 1.9], values=[0.41], offenders=[17])
    """

    #: See `fingerprint`.
    fingerprint: str
    #: Tokens of one micro-batch, padding included; 0 where a trainer has none.
    budget: int = 0
    #: One for each step done; None of a step that was skipped.
    losses: list[float | None] = field(default_factory=list)
    #: Held-out reward at epoch 0, 1, ...
    values: list[float] = field(default_factory=list)
    best_epoch: int = 0
    #: Examples by index that alone have a loss or gradient which is no finite number.
    offenders: list[int] = field(default_factory=list)
    #: Spent by the processes so far.
    seconds: float = 0.0

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
        """What `write` left in a folder; None where there is nothing, or nothing readable of this training."""
        try:
            found = None if folder is None else cls(**json.loads((folder / FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return found if found is not None and found.fingerprint == fingerprint else None


def fingerprint(*parts: object) -> str:
    """A hash of all that a training depends on, each part by its `repr`."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr(part).encode() + b"\n")
    return digest.hexdigest()
