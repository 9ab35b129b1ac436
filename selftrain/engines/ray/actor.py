"""What runs on the cluster: one process that holds models and graders, and does one task at a time."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from selftrain.engines.base import Engine
from selftrain.engines.config import EngineConfig
from selftrain.engines.registry import find_engine
from selftrain.engines.request import GenerateRequest
from selftrain.storage.environment import versions_of
from selftrain.storage.rows import response_row
from selftrain.types import Problem, Prompt, Response, Score

if TYPE_CHECKING:
    from selftrain.engines.ray.grader_spec import GraderSpec
    from selftrain.engines.transformers import ModelSpec, TransformersEngine
    from selftrain.graders import Grader

#: Texts whose log-probabilities show, bit by bit, whether two machines compute alike.
_PROMPTS = (Prompt("probe/1", "Why?"), Prompt("probe/2", "How many are 3 and 12 apples?"))
_TEXTS = (" 2 + 3 = 5. #### 5", " 15")


@dataclass(frozen=True)
class Numerics:
    """How a machine computes a model.

    Numerics("our own forward pass", (-31.61, -8.25))
    """

    description: str
    logprobs: tuple[float, ...]


def numerics_of(engine: Engine) -> Numerics:
    return Numerics(engine.description, tuple(engine.logprob(_PROMPTS, _TEXTS)))


def versions() -> dict[str, str]:
    """Of everything that the bytes of a response may depend on."""
    return {"python": platform.python_version()} | versions_of(("selftrain", "torch", "transformers", "tokenizers"))


class Actor:
    """
    Args:
        threads: to compute with; also the number of programs graded at once.
        device: 'cpu' or 'cuda'.
    """

    def __init__(self, threads: int, device: str) -> None:
        self._threads, self._device = threads, device
        self._models: dict[str, tuple[TransformersEngine, Engine]] = {}
        self._graders: dict[GraderSpec, tuple[Grader, Grader]] = {}

    def ping(self) -> tuple[str, dict[str, str]]:
        """The id of its node, and its versions."""
        import ray

        return ray.get_runtime_context().get_node_id(), versions()

    def load_model(
        self, key: str, files: Mapping[str, Any] | None, *, spec: ModelSpec, config: EngineConfig, options: Any
    ) -> Numerics:
        """Loads a model, or new weights of one that it has.

        Args:
            key: names the model in later calls.
            files: the contents of the model's folder, as `uint8[size]` by name; None where `spec` names a hub id.
            spec, config, options: see `EngineContext`.
        """
        import torch

        torch.set_num_threads(self._threads)
        with TemporaryDirectory(prefix="selftrain-") as folder:
            for name, content in (files or {}).items():
                content.tofile(Path(folder) / name)
            spec = spec if files is None else replace(spec, model=folder)
            if key in self._models:
                self._update_weights(key, spec.model)
            else:
                self._models[key] = self._load(spec, config, options)
        return numerics_of(self._models[key][1])

    def _load(self, spec: ModelSpec, config: EngineConfig, options: Any) -> tuple[TransformersEngine, Engine]:
        from selftrain.engines.context import EngineContext
        from selftrain.engines.transformers import TransformersEngine
        from selftrain.training.trainable_weights import WholeModel

        reference = TransformersEngine.load(spec, self._device)
        save = WholeModel(reference.model).save_merged
        context = EngineContext(reference=reference, spec=spec, save=save, config=config, options=options, on_ray=True)
        return reference, find_engine(config.engine).builder()(context)

    def _update_weights(self, key: str, folder: str) -> None:
        from selftrain.training.trainable_weights import WholeModel

        WholeModel(self._models[key][0].model).load(folder)

    def generate(self, key: str, request: GenerateRequest) -> list[dict[str, Any]]:
        """Rows of responses: without the prompts, which the caller has."""
        return [response_row(response) for response in self._models[key][1].generate(request)]

    def grade(
        self, spec: GraderSpec, responses: Sequence[Response], problems: Mapping[str, Problem], *, evaluation: bool
    ) -> list[Score]:
        """
        Args:
            evaluation: by the grader of evaluations, not of samples.
        """
        if spec not in self._graders:
            grader = spec.open(self._threads)
            self._graders[spec] = grader, grader.evaluation_grader()
        return self._graders[spec][evaluation].grade(responses, problems)
