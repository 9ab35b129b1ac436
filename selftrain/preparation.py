"""What is loaded and checked before a run costs anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selftrain.computing import Computing
from selftrain.engines.base import Engine, Save
from selftrain.engines.server.settings import Server
from selftrain.errors import DataError, SettingsError
from selftrain.learner import Learner
from selftrain.methods.base import Method
from selftrain.prompts import Prompting
from selftrain.record import Memory
from selftrain.types import Prompt

if TYPE_CHECKING:
    from selftrain.engines.transformers import TransformersEngine


def names_of(method: Method, model: str | Sequence[str]) -> dict[str, str]:
    """Each model's folder or hub id, by a name that no other has.

    Raises:
        SettingsError: more or fewer models than the method can use.
    """
    paths = [model] if isinstance(model, str) else list(model)
    if method.needs_peers and len(paths) < 2:
        raise SettingsError(
            f"{method.name} was given {len(paths)} model", "its models learn from one another", "give --models a b c"
        )
    if not method.needs_peers and len(paths) != 1:
        raise SettingsError(f"{method.name} was given {len(paths)} models", "it trains one", "give one model")
    names: dict[str, str] = {}
    for path in paths:
        name = Path(path).name or path
        count = sum(known == name or known.startswith(f"{name}-") for known in names)
        names[f"{name}-{count + 1}" if count else name] = path
    return names


@dataclass(frozen=True)
class Loader:
    """Loads models, each with the engine and the trainer that share it."""

    prompting: Prompting
    computing: Computing = Computing()
    revision: str = "main"
    server: Server = Server()

    def load(self, model: str, name: str = "", memory: Memory | None = None) -> Learner:
        """
        Args:
            model: a local folder or a hub id.
            name: how samples name it; by default the last part of `model`.

        Raises:
            ModelError: it cannot be loaded.
        """
        # Here and not above: torch and transformers take seconds to import, and bad settings should not wait for them.
        from selftrain.engines.transformers import TransformersEngine
        from selftrain.learning.trainer import TransformersTrainer

        computing = self.computing
        loading: dict[str, Any] = {
            "model": model, "name": name or Path(model).name, "revision": self.revision, "bf16": computing.bf16,
            "rows": computing.sampling_batch_size,
        }  # fmt: skip
        slow = TransformersEngine.load(**loading, prompting=self.prompting, device=computing.device)
        trainer = TransformersTrainer(slow.model, slow.renderer, computing.bf16)
        return Learner(self._engine(slow, trainer.save, loading), trainer, model, memory)

    def _engine(self, slow: TransformersEngine, save: Save, loading: Mapping[str, Any]) -> Engine:
        if self.computing.engine == "openai":
            return self._asking(slow, save)
        return slow if self.computing.engine == "transformers" else self._quickest(slow, loading)

    def _asking(self, slow: TransformersEngine, save: Save) -> Engine:
        try:
            from selftrain.engines.server.engine import ServerEngine
        except ImportError as error:
            raise SettingsError(
                f"engine is 'openai', and {error}", "servers are asked by httpx2", "pip install 'selftrain[openai]'"
            ) from error
        return ServerEngine(slow, self.server, save)

    def _quickest(self, slow: TransformersEngine, loading: Mapping[str, Any]) -> Engine:
        from selftrain.engines.packed import Helpers, further_cores, quickest_engine

        wanted = self.computing.sampling_processes
        count = further_cores() if wanted is None else wanted - 1
        return quickest_engine(slow, Helpers({**loading, "prompting": asdict(self.prompting)}, count))


def too_long(learner: Learner, prompts: Sequence[Prompt], max_completion_length: int, prompting: Prompting) -> set[str]:
    """Ids of the problems whose prompts leave no room for an answer, where those are to be dropped.

    Raises:
        DataError: there are some and they are not to be dropped.
    """
    found = learner.engine.too_long(prompts, max_completion_length)
    if found and prompting.long_prompts == "error":
        worst = ", ".join(f"{problem_id} ({length:,} tokens)" for problem_id, length in found[:5])
        raise DataError(
            f"{len(found):,} of {len(prompts):,} prompts are too long: {worst}",
            f"with up to {max_completion_length:,} tokens of answer they exceed what {learner.base} has room for",
            "use --long_prompts drop, lower --max_completion_length, or show fewer worked examples",
        )
    return {problem_id for problem_id, _ in found}
