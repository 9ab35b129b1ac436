"""A model's files in the cluster's object store: each node fetches them once, however many workers it has."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import ray

from selftrain.engines.base import Save


class Weights:
    """The weights that answer until the next ones do.

    Args:
        number: tells them from others of the same model.
    """

    def __init__(self, number: int, files: Any) -> None:
        self.number, self.files = number, files

    @classmethod
    def of_model(cls, model: str) -> Weights:
        """Of a folder here, which nodes need not see; a hub id they load themselves."""
        folder = Path(model)
        return cls(0, _put(folder) if folder.is_dir() else None)

    def then(self, save: Save) -> Weights:
        with TemporaryDirectory(prefix="selftrain-") as folder:
            save(Path(folder))
            return Weights(self.number + 1, _put(Path(folder)))


def _put(folder: Path) -> Any:
    # Arrays and not bytes: a worker reads them where they lie, without a copy.
    return ray.put({one.name: np.fromfile(one, np.uint8) for one in folder.iterdir() if one.is_file()})
