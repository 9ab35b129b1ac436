"""Loads models onto what is to compute: an engine and a trainer around the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selftrain.adapter import Adapter
from selftrain.cluster.opening import NOWHERE_ELSE, Spread
from selftrain.computing import Computing
from selftrain.engines.base import Engine, Save
from selftrain.engines.server.settings import Server
from selftrain.engines.vllm.finding import vllm_version
from selftrain.engines.vllm.settings import VllmSettings
from selftrain.errors import SettingsError
from selftrain.learner import Learner
from selftrain.placement import Need, Placement, Seat, gpus, place
from selftrain.prompts import Prompting
from selftrain.record import Memory

if TYPE_CHECKING:
    from selftrain.engines.transformers import TransformersEngine
    from selftrain.learning.followers import Followers
    from selftrain.learning.weights import Trained

#: The sections of settings that say what computes, by the names of the fields that hold them.
MACHINERY: Mapping[str, type[Any]] = {"computing": Computing, "vllm": VllmSettings, "server": Server}


@dataclass(frozen=True)
class Loader:
    """Loads models, each with the engine and the trainer that share it."""

    prompting: Prompting
    computing: Computing = Computing()
    revision: str = "main"
    spread: Spread = NOWHERE_ELSE
    adapter: Adapter = Adapter()
    vllm: VllmSettings = VllmSettings()
    server: Server = Server()

    def __post_init__(self) -> None:
        if self.adapter.load_in_4bit and (self.computing.engine not in ("auto", "transformers") or self.spread):
            raise SettingsError(
                f"load_in_4bit is set, and engine is {self.computing.engine!r}{' on Ray' if self.spread else ''}",
                "weights of 4 bits answer in the process that trains the adapter beside them",
                "use --engine transformers, without --ray",
            )
        if self.computing.engine != "vllm" and self.vllm != VllmSettings():
            raise SettingsError(
                f"settings of vLLM are given, and engine is {self.computing.engine!r}",
                "nobody would read them",
                "add --engine vllm, or leave them out",
            )
        if self.computing.engine in ("vllm", "openai") and self.spread:
            raise SettingsError(
                f"--ray and --engine {self.computing.engine} are both given",
                "Ray's workers hold the model themselves, and this engine answers by itself",
                "leave one of them out",
            )

    def place(self, models: Mapping[str, str], *, keeps_moments: bool) -> Placement:
        """Where each of a run's models is to compute, by its name.

        Raises:
            ModelError: there is no such model.
            SettingsError: a model does not fit on any of the GPUs.
        """
        computing, found = self.computing, gpus() if len(models) > 1 else []
        by_others = computing.engine in ("vllm", "openai") or self.adapter.load_in_4bit or self.spread
        if not found or computing.device != "auto" or computing.training_processes > 1 or by_others:
            return Placement(dict.fromkeys(models, computing.device), planned=False)
        from selftrain.loading import count_weights

        weights = {name: count_weights(model, self.revision) for name, model in models.items()}
        # Of an adapter the few weights beside the model are as nothing.
        return place(
            {
                name: Need.of(count, 0 if self.adapter.use_peft else count, keeps_moments=keeps_moments)
                for name, count in weights.items()
            },
            found,
        )

    def load(self, model: str, name: str = "", memory: Memory | None = None, seat: Seat | None = None) -> Learner:
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
        from selftrain.learning.trainer import TransformersTrainer

        computing = self.computing
        if computing.engine == "vllm":
            vllm_version(self.vllm.vllm_python)  # where there is none, that is said before a model is loaded
        loading: dict[str, Any] = {
            "model": model, "name": name or Path(model).name, "revision": self.revision, "bf16": computing.bf16,
            "rows": computing.sampling_batch_size,
        }  # fmt: skip
        seat = seat or Seat(computing.device)
        # One of several in turns waits until it is asked.
        slow = TransformersEngine.load(
            **loading, prompting=self.prompting, device="cpu" if seat.in_turns else seat.device,
            load_in_4bit=self.adapter.load_in_4bit,
        )  # fmt: skip
        trained = self._adapted(slow, model) if self.adapter.use_peft else None
        followers = self._followers(slow, model) if computing.training_processes > 1 else None
        trainer = TransformersTrainer(slow.model, slow.renderer, computing.bf16, trained, followers)
        told = {**loading, "prompting": asdict(self.prompting)}
        # Our own forward pass is for models that stay on the CPU.
        engine = slow if seat.in_turns else self._engine(slow, trainer.save_merged, told)
        return Learner(engine, trainer, model, memory, seat)

    def _engine(self, slow: TransformersEngine, save: Save, loading: Mapping[str, Any]) -> Engine:
        match self.computing.engine:
            case "vllm":
                return self._by_vllm(slow, loading["model"])
            case "openai":
                return self._by_server(slow, save)
            case "transformers":
                engine: Engine = slow
            case _:
                engine = self._quickest(slow, loading)
        quickest = self.computing.engine == "auto"
        return self.spread.engine(engine, str(slow.model.device), {**loading, "quickest": quickest})

    def _adapted(self, engine: TransformersEngine, base: str) -> Trained:
        from selftrain.learning.lora import LoraAdapter

        return LoraAdapter(engine.model, self.adapter, base, self.revision)

    def _followers(self, engine: TransformersEngine, model: str) -> Followers:
        from selftrain.learning.followers import Followers, devices_beside

        loading = {"model": model, "revision": self.revision, "adapter": asdict(self.adapter)}
        return Followers(loading, devices_beside(engine.model.device, self.computing.training_processes))

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
        return VllmEngine(slow, model, self.revision, self.vllm, version, self.computing.device)

    def _quickest(self, slow: TransformersEngine, loading: Mapping[str, Any]) -> Engine:
        from selftrain.engines.packed import Helpers, further_cores, quickest_engine

        wanted = self.computing.sampling_processes
        count = further_cores() if wanted is None else wanted - 1
        return quickest_engine(slow, None if self.spread else Helpers(loading, count))
