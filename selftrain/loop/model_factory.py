"""Loads models onto what is to compute: an engine and a trainer around the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selftrain.engines.base import Engine, Save
from selftrain.engines.config import EngineConfig
from selftrain.engines.ray.backend import NOWHERE_ELSE, RayBackend
from selftrain.engines.server.config import ServerConfig
from selftrain.engines.vllm.config import VllmConfig
from selftrain.engines.vllm.find_vllm import vllm_version
from selftrain.errors import SettingsError
from selftrain.loop.learner import Learner
from selftrain.models.adapter import AdapterConfig
from selftrain.models.placement import DeviceSlot, Need, Placement, gpus, place
from selftrain.models.prompts import PromptConfig
from selftrain.storage import AnswerCache

if TYPE_CHECKING:
    from selftrain.engines.transformers import TransformersEngine
    from selftrain.training.followers import Followers
    from selftrain.training.trainable_weights import TrainableWeights

#: The sections of settings that say what computes, by the names of the fields that hold them.
MACHINERY: Mapping[str, type[Any]] = {"engine_config": EngineConfig, "vllm": VllmConfig, "server": ServerConfig}


@dataclass(frozen=True)
class ModelFactory:
    """Loads models, each with the engine and the trainer that share it."""

    prompt_config: PromptConfig
    engine_config: EngineConfig = EngineConfig()
    revision: str = "main"
    spread: RayBackend = NOWHERE_ELSE
    adapter: AdapterConfig = AdapterConfig()
    vllm: VllmConfig = VllmConfig()
    server: ServerConfig = ServerConfig()

    def __post_init__(self) -> None:
        if self.adapter.load_in_4bit and (self.engine_config.engine not in ("auto", "transformers") or self.spread):
            raise SettingsError(
                f"load_in_4bit is set, and engine is {self.engine_config.engine!r}{' on Ray' if self.spread else ''}",
                "weights of 4 bits answer in the process that trains the adapter beside them",
                "use --engine transformers, without --ray",
            )
        if self.engine_config.engine != "vllm" and self.vllm != VllmConfig():
            raise SettingsError(
                f"settings of vLLM are given, and engine is {self.engine_config.engine!r}",
                "nobody would read them",
                "add --engine vllm, or leave them out",
            )
        if self.engine_config.engine in ("vllm", "openai") and self.spread:
            raise SettingsError(
                f"--ray and --engine {self.engine_config.engine} are both given",
                "Ray's workers hold the model themselves, and this engine answers by itself",
                "leave one of them out",
            )

    def place(self, models: Mapping[str, str], *, keeps_moments: bool) -> Placement:
        """Where each of a run's models is to compute, by its name.

        Raises:
            ModelError: there is no such model.
            SettingsError: a model does not fit on any of the GPUs.
        """
        engine_config, found = self.engine_config, gpus() if len(models) > 1 else []
        by_others = engine_config.engine in ("vllm", "openai") or self.adapter.load_in_4bit or self.spread
        if not found or engine_config.device != "auto" or engine_config.training_processes > 1 or by_others:
            return Placement(dict.fromkeys(models, engine_config.device), planned=False)
        from selftrain.models.loading import count_parameters

        weights = {name: count_parameters(model, self.revision) for name, model in models.items()}
        # Of an adapter the few weights beside the model are as nothing.
        return place(
            {
                name: Need.of(count, 0 if self.adapter.use_peft else count, keeps_moments=keeps_moments)
                for name, count in weights.items()
            },
            found,
        )

    def load(
        self, model: str, name: str = "", answer_cache: AnswerCache | None = None, seat: DeviceSlot | None = None
    ) -> Learner:
        """
        Args:
            model: a local folder or a hub id.
            name: how samples name it; by default the last part of `model`.
            seat: where it computes; by default on the device of the settings, alone.

        Raises:
            ModelError: it cannot be loaded.
            SettingsError: the engine cannot be had, the model has no layers for the adapter, or there are too few GPUs.
        """
        # Here and not above: torch and transformers take seconds to import, and bad settings should not wait for them.
        from selftrain.engines.transformers import TransformersEngine
        from selftrain.training.trainer import TransformersTrainer

        engine_config = self.engine_config
        if engine_config.engine == "vllm":
            vllm_version(self.vllm.vllm_python)  # where there is none, that is said before a model is loaded
        loading: dict[str, Any] = {
            "model": model, "name": name or Path(model).name, "revision": self.revision, "bf16": engine_config.bf16,
            "rows": engine_config.sampling_batch_size,
        }  # fmt: skip
        seat = seat or DeviceSlot(engine_config.device)
        # One of several in turns waits until it is asked.
        slow = TransformersEngine.load(
            **loading, prompt_config=self.prompt_config, device="cpu" if seat.in_turns else seat.device,
            load_in_4bit=self.adapter.load_in_4bit,
        )  # fmt: skip
        trained = self._adapted(slow, model) if self.adapter.use_peft else None
        followers = self._followers(slow, model) if engine_config.training_processes > 1 else None
        trainer = TransformersTrainer(
            slow.model, slow.renderer, bf16=engine_config.bf16, trained=trained, followers=followers
        )
        told = {**loading, "prompt_config": asdict(self.prompt_config)}
        # Our own forward pass is for models that stay on the CPU.
        engine = slow if seat.in_turns else self._engine(slow, trainer.save_merged, told)
        return Learner(engine, trainer, model, answer_cache, seat)

    def _engine(self, slow: TransformersEngine, save: Save, loading: Mapping[str, Any]) -> Engine:
        match self.engine_config.engine:
            case "vllm":
                return self._by_vllm(slow, loading["model"])
            case "openai":
                return self._by_server(slow, save)
            case "transformers":
                engine: Engine = slow
            case _:
                engine = self._quickest(slow, loading)
        quickest = self.engine_config.engine == "auto"
        return self.spread.engine(engine, str(slow.model.device), {**loading, "quickest": quickest})

    def _adapted(self, engine: TransformersEngine, base: str) -> TrainableWeights:
        from selftrain.training.lora import LoraAdapter

        return LoraAdapter(engine.model, self.adapter, base, self.revision)

    def _followers(self, engine: TransformersEngine, model: str) -> Followers:
        from selftrain.training.followers import Followers, follower_devices

        loading = {"model": model, "revision": self.revision, "adapter": asdict(self.adapter)}
        return Followers(loading, follower_devices(engine.model.device, self.engine_config.training_processes))

    def _by_server(self, slow: TransformersEngine, save: Save) -> Engine:
        try:
            from selftrain.engines.server.engine import ServerEngine
        except ImportError as error:
            raise SettingsError(
                f"engine is 'openai', and {error}", "servers are asked by httpx2", "pip install 'selftrain[openai]'"
            ) from error
        return ServerEngine(slow, self.server, save)

    def _by_vllm(self, slow: TransformersEngine, model: str) -> Engine:
        from selftrain.engines.vllm.engine import VllmEngine

        version = vllm_version(self.vllm.vllm_python)
        return VllmEngine(slow, model, self.revision, self.vllm, version, self.engine_config.device)

    def _quickest(self, slow: TransformersEngine, loading: Mapping[str, Any]) -> Engine:
        from selftrain.engines.packed import WorkerPool, further_cores, quickest_engine

        wanted = self.engine_config.sampling_processes
        count = further_cores() if wanted is None else wanted - 1
        return quickest_engine(slow, None if self.spread else WorkerPool(loading, count))
