"""A model's files in the cluster's object store: each node fetches them once, however many workers it has."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import ray

from selftrain.engines.base import SaveWeights


class StoredWeights:
    """
    Args:
        version: tells them from other weights of the same model.
        files: a reference to `uint8[size]` by file name; None where nodes load a hub id themselves.
    """

    def __init__(self, version: int, files: Any) -> None:
        self.version, self.files = version, files

    @classmethod
    def of_model(cls, model: str) -> StoredWeights:
        """Of a local folder, which other nodes need not see, or a hub id."""
        folder = Path(model)
        return cls(0, _put(folder) if folder.is_dir() else None)

    def updated(self, save: SaveWeights) -> StoredWeights:
        with TemporaryDirectory(prefix="selftrain-") as folder:
            save(Path(folder))
            return StoredWeights(self.version + 1, _put(Path(folder)))


def _put(folder: Path) -> Any:
    # Arrays, which a worker reads from shared memory without a copy; bytes would be copied.
    return ray.put({file.name: np.fromfile(file, np.uint8) for file in folder.iterdir() if file.is_file()})
