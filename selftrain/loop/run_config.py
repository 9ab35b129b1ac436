"""Settings of a run as a whole: which models, where to, and the seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selftrain.config import Resolved, config_dataclass, required, setting
from selftrain.errors import SettingsError

#: Settings that say where models lie. What they hold is what makes a run the same one, not where it is.
MODEL_PLACES = ("model_name_or_path", "models")
#: A local folder or a hub id; several where models learn together.
Folders = str | Sequence[str]


@config_dataclass
class RunConfig:
    output_dir: str = required("folder of the run; must be empty or absent", example="runs/first", resumable=True)
    seed: int = setting(42, "seed of all randomness in the run", source="transformers")


def require_folder(output_dir: object) -> None:
    """
    Raises:
        SettingsError: it is empty, which would be the current folder.
    """
    if not str(output_dir).strip():
        raise SettingsError("output_dir is empty", "a run has a folder of its own", "name one, such as runs/first")


@config_dataclass
class LoadingConfig:
    """What holds for one model and for several."""

    model_revision: str = setting("main", "branch, tag or commit on the hub", source="TRL")

    @property
    def names(self) -> tuple[str, ...]:
        raise NotImplementedError


@config_dataclass
class ModelConfig(LoadingConfig):
    model_name_or_path: str = required("local folder or hub id", example="Qwen/Qwen2.5-0.5B")

    @property
    def names(self) -> tuple[str, ...]:
        return (self.model_name_or_path,)


@config_dataclass
class PeerModelsConfig(LoadingConfig):
    models: tuple[str, ...] = required(
        "two or more local folders or hub ids", example="google/gemma-2-2b meta-llama/Llama-3.2-1B Qwen/Qwen2.5-1.5B"
    )

    @property
    def names(self) -> tuple[str, ...]:
        return self.models


def settings_in_python(run: RunConfig, model: Folders, model_revision: str, sections: Mapping[str, Any]) -> Resolved:
    """Every setting of a run begun in Python, under the names of the command line."""
    config = (
        ModelConfig(model_name_or_path=model, model_revision=model_revision)
        if isinstance(model, str)
        else PeerModelsConfig(models=tuple(model), model_revision=model_revision)
    )
    return Resolved.of({"run": run, "model": config, **sections})
