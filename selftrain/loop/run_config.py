"""Settings of a run as a whole: which models, where to, and the seed."""

from __future__ import annotations

from selftrain.config import config_dataclass, required, setting


@config_dataclass
class RunConfig:
    output_dir: str = required("folder of the run; must be empty or absent", example="runs/first", resumable=True)
    seed: int = setting(42, "seed of all randomness in the run", source="transformers")


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
