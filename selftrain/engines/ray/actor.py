"""What runs on the cluster: one process that holds models and judges, and answers one question at a time."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from selftrain.engines.base import Engine
from selftrain.engines.workers.requests import answer
from selftrain.models.prompts import PromptConfig
from selftrain.storage.environment import versions_of
from selftrain.types import Problem, Prompt, Response, Score

if TYPE_CHECKING:
    from selftrain.engines.ray.grader_spec import GraderSpec
    from selftrain.engines.transformers import TransformersEngine
    from selftrain.graders import Grader

#: Texts of which the log-probability tells by its bits whether two machines compute alike.
_PROMPTS = (Prompt("probe/1", "Why?"), Prompt("probe/2", "How many are 3 and 12 apples?"))
_TEXTS = (" 2 + 3 = 5. #### 5", " 15")


@dataclass(frozen=True)
class Computes:
    """What computes a model's answers, and to which bits.

    Computes("our own forward pass", (-31.61, -8.25))
    """

    how: str
    logprobs: tuple[float, ...]


def computes(engine: Engine) -> Computes:
    return Computes(engine.how, tuple(engine.logprob(_PROMPTS, _TEXTS)))


def versions() -> dict[str, str]:
    """Of what an answer's bytes may depend on."""
    return {"python": platform.python_version()} | versions_of(("selftrain", "torch", "transformers", "tokenizers"))


class Actor:
    """
    Args:
        threads: that it computes on, and programs that it judges at once.
        device: 'cpu' or 'cuda'.
    """

    def __init__(self, threads: int, device: str) -> None:
        self._threads, self._device = threads, device
        self._models: dict[str, tuple[TransformersEngine, Engine]] = {}
        self._graders: dict[GraderSpec, tuple[Grader, Grader]] = {}

    def hello(self) -> tuple[str, dict[str, str]]:
        """The id of the node, and its versions."""
        import ray

        return ray.get_runtime_context().get_node_id(), versions()

    def take_model(self, key: str, loading: Mapping[str, Any], files: Mapping[str, Any] | None) -> Computes:
        """Takes a model, or new weights of one that it has.

        Args:
            files: the bytes of its folder, as `uint8[size]` by name; None where `loading` has a hub id.
        """
        import torch

        torch.set_num_threads(self._threads)
        with TemporaryDirectory(prefix="selftrain-") as folder:
            for name, content in (files or {}).items():
                content.tofile(Path(folder) / name)
            loading = dict(loading) if files is None else {**loading, "model": folder}
            if key in self._models:
                self._renew(key, loading["model"])
            else:
                self._load(key, loading)
        return computes(self._models[key][1])

    def _load(self, key: str, loading: dict[str, Any]) -> None:
        from selftrain.engines.packed import quickest_engine
        from selftrain.engines.transformers import TransformersEngine

        quickest, prompt_config = loading.pop("quickest"), PromptConfig.from_dict(loading.pop("prompt_config"))
        slow = TransformersEngine.load(**loading, prompt_config=prompt_config, device=self._device)
        self._models[key] = slow, quickest_engine(slow) if quickest else slow

    def _renew(self, key: str, folder: str) -> None:
        from selftrain.training.trainable_weights import WholeModel

        WholeModel(self._models[key][0].model).load(folder)

    def answer(self, key: str, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        return answer(self._models[key][1], asked)

    def grade(
        self, spec: GraderSpec, examines: bool, responses: Sequence[Response], problems: Mapping[str, Problem]
    ) -> list[Score]:
        if spec not in self._graders:
            grader = spec.open(self._threads)
            self._graders[spec] = grader, grader.evaluation_grader()
        return self._graders[spec][examines].grade(responses, problems)
