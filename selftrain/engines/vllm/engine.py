"""vLLM answers; the trainer's own module stays where it is, and scores what others wrote."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from selftrain.engines.base import Before, Save
from selftrain.engines.rng import stream_start
from selftrain.engines.transformers import Answer, TransformersEngine
from selftrain.engines.vllm.config import VllmConfig
from selftrain.engines.vllm.process import VllmProcess
from selftrain.errors import RunError
from selftrain.types import Prompt, Response, SamplingParams


class VllmEngine(Before):
    """
    Args:
        slow: around the live module: lays out prompts, cuts answers, scores texts.
        model, revision: the untouched weights, which answer until the first `renew`.
        version: of vLLM, for the record.
        device: see `VllmProcess`.
    """

    slow: TransformersEngine

    def __init__(
        self, slow: TransformersEngine, model: str, revision: str, settings: VllmConfig, version: str, device: str
    ) -> None:
        self.slow, self._settings, self._device = slow, settings, device
        self._base = {"model": str(Path(model).resolve()) if Path(model).is_dir() else model, "revision": revision}
        self._dtype = "bfloat16" if slow.bf16 else "float32"
        self.how = f"vLLM {version or 'of unknown version'} in {self._dtype}, in a process of its own"
        self._save: Save | None = None
        self._process: VllmProcess | None = None

    def too_long(self, prompts: Sequence[Prompt], max_completion_length: int) -> list[tuple[str, int]]:
        room = self._settings.vllm_max_model_length
        if room is None:
            return self.slow.too_long(prompts, max_completion_length)
        return self.slow.longer_than(room - max_completion_length, prompts)

    def plan(self, prompts: Sequence[Prompt], n: int) -> list[list[int]]:
        """In the order they come: vLLM pads nothing, and goes on from one unit to the next without a pause."""
        of_unit = max(1, self.slow.rows // n)
        starts = range(0, len(prompts), of_unit)
        return [[*range(start, min(start + of_unit, len(prompts)))] for start in starts]

    def generate(
        self,
        prompts: Sequence[Prompt],
        n: int,
        sampling: SamplingParams,
        key: str,
        weights_version: int,
        first: int = 0,
    ) -> list[Response]:
        (responses,) = self.generate_units([prompts], n, sampling, key, weights_version, first)
        return responses

    def generate_units(
        self, units: Sequence[Sequence[Prompt]], n: int, sampling: SamplingParams, key: str, weights_version: int,
        first: int = 0,
    ) -> Generator[list[Response], None, None]:  # fmt: skip
        """
        Raises:
            ModelError: vLLM does not start, or cannot answer.
        """
        left = len(units)
        if not left:
            return
        try:
            process = self._ready()
            process.say({
                "sampling": self._sampling(sampling), "units": [self._unit(unit, n, key, first) for unit in units],
            })  # fmt: skip
            for unit in units:
                answers = [Answer((), **row) for row in process.hear()["unit"]]
                for place, answer in enumerate(answers):
                    answer.stop_texts = self.slow.renderer.stop_texts(unit[place // n])
                left -= 1
                yield self.slow.responses(unit, n, first, answers, weights_version)
        finally:
            if left:  # nobody waits for the rest any more, or there will be none
                self.close()

    def _sampling(self, sampling: SamplingParams) -> dict[str, Any]:
        return {
            "temperature": sampling.temperature, "top_k": sampling.top_k, "top_p": sampling.top_p,
            "max_tokens": sampling.max_completion_length, "stop_token_ids": sorted(self.slow.renderer.stop_ids),
        }  # fmt: skip

    def _unit(self, unit: Sequence[Prompt], n: int, key: str, first: int) -> list[dict[str, Any]]:
        return [
            {
                "ids": self.slow.renderer.prompt_ids(prompt), "stop": self.slow.renderer.stop_texts(prompt),
                # vLLM's seeds are signed.
                "seeds": [stream_start(key, prompt.problem_id, first + place) >> 1 for place in range(n)],
            }
            for prompt in unit
        ]  # fmt: skip

    def logprob(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """By the trainer's own weights and forward pass, never by vLLM's."""
        return self.slow.logprob(prompts, completions)

    def renew(self, save: Save) -> None:
        """They are written down when vLLM is next asked."""
        self._save = save
        self.close()

    def rest(self) -> None:
        """Only a process that has ended has given back all its memory."""
        self.close()

    def close(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None

    def _ready(self) -> VllmProcess:
        """The process, with the weights of now."""
        if self._process is None:
            process = self._process = VllmProcess(self._settings, self._device)
            # Written while the process imports vLLM, which takes its time.
            weights = self._base if self._save is None else {"model": written(self._save, process.weights)}
            process.ask({"load": {**weights, **self._arguments()}})
            shutil.rmtree(process.weights, ignore_errors=True)  # it has them
        return self._process

    def _arguments(self) -> Mapping[str, Any]:
        settings = self._settings
        return {
            "dtype": self._dtype, "seed": 0, "enable_prefix_caching": True,
            # What a model's own files say about sampling is not asked; the settings say it all.
            "generation_config": "vllm",
            "gpu_memory_utilization": settings.vllm_gpu_memory_utilization,
            "tensor_parallel_size": settings.vllm_tensor_parallel_size,
            "max_model_len": settings.vllm_max_model_length, "enforce_eager": settings.vllm_enforce_eager,
        }  # fmt: skip


def written(save: Save, folder: Path) -> str:
    """
    Raises:
        RunError: the weights cannot be written there.
    """
    try:
        folder.mkdir()
        save(folder)
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"the weights cannot be handed to vLLM by way of {folder}: {error}",
            "it reads them from there, and they take 4 bytes a parameter until it has them",
            "free the space, or set TMPDIR to a folder that has it",
        ) from error
    return str(folder)
