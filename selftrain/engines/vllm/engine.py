"""vLLM generates; the trainer's module stays where it is, and scores given texts."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from selftrain.engines.base import Engine, SaveWeights
from selftrain.engines.completion import Completion
from selftrain.engines.context import EngineContext
from selftrain.engines.request import GenerateRequest
from selftrain.engines.transformers import TransformersEngine
from selftrain.engines.vllm.config import VllmConfig
from selftrain.engines.vllm.find_vllm import vllm_version
from selftrain.engines.vllm.process import VllmProcess
from selftrain.errors import RunError
from selftrain.models.source import find_source
from selftrain.types import Prompt, Response


def build(context: EngineContext) -> Engine:
    """`--engine vllm`."""
    return VllmEngine(context)


class VllmEngine:
    """The model of `context.spec` generates until the first `update_weights`.

    Args:
        context: with a `VllmConfig` as its options.
    """

    def __init__(self, context: EngineContext) -> None:
        self.reference: TransformersEngine = context.reference
        self.name, self.prompt_text = self.reference.name, self.reference.prompt_text
        # By the trainer's own weights and forward pass, never by vLLM's.
        self.logprob, self.num_tokens = self.reference.logprob, self.reference.num_tokens
        self._config: VllmConfig = context.options
        self._device, model = context.config.device, context.spec.model
        local = Path(model).is_dir()
        self._base = {"model": str(Path(model).resolve()) if local else model, "revision": context.spec.revision}
        self._dtype = "bfloat16" if self.reference.bf16 else "float32"
        version = vllm_version(self._config.vllm_python) or "of unknown version"
        self.description = f"vLLM {version} in {self._dtype}, in a process of its own"
        # vLLM could not load an adapter or a GGUF file as it is loaded here.
        plain = find_source(model, context.spec.revision).is_plain
        self._save: SaveWeights | None = None if plain else context.save
        self._process: VllmProcess | None = None

    def too_long(self, prompts: Sequence[Prompt], max_completion_length: int) -> list[tuple[str, int]]:
        limit = self._config.vllm_max_model_length
        if limit is None:
            return self.reference.too_long(prompts, max_completion_length)
        return self.reference.longer_than(limit - max_completion_length, prompts)

    def plan(self, prompts: Sequence[Prompt], n: int) -> list[list[int]]:
        """In the given order: vLLM pads nothing, and starts on the next batch before the last one is complete."""
        size = max(1, self.reference.batch_size // n)
        return [[*range(start, min(start + size, len(prompts)))] for start in range(0, len(prompts), size)]

    def generate(self, request: GenerateRequest) -> list[Response]:
        (responses,) = self.generate_batches([request])
        return responses

    def generate_batches(self, requests: Sequence[GenerateRequest]) -> Generator[list[Response], None, None]:
        """
        Raises:
            ModelError: vLLM does not start, or cannot generate.
        """
        left = len(requests)
        if not left:
            return
        try:
            process = self._started()
            process.send({"batches": [self._batch(request) for request in requests]})
            for request in requests:
                rows = process.receive()["batch"]
                completions = [
                    Completion(self.reference.renderer.stop_texts(prompt), **row)
                    for (prompt, _), row in zip(request.numbered(), rows, strict=True)
                ]
                left -= 1
                yield self.reference.responses(request, completions)
        finally:
            if left:  # nobody waits for the remaining batches, or vLLM failed
                self.close()

    def _batch(self, request: GenerateRequest) -> dict[str, Any]:
        params, renderer, starts = request.params, self.reference.renderer, request.stream_starts()
        return {
            "sampling": {
                "temperature": params.temperature,
                "top_k": params.top_k,
                "top_p": params.top_p,
                "repetition_penalty": params.repetition_penalty,
                "max_tokens": params.max_completion_length,
                "stop_token_ids": sorted(renderer.stop_ids),
            },
            "prompts": [
                {
                    "ids": renderer.prompt_ids(prompt),
                    "stop": renderer.stop_texts(prompt),
                    # vLLM's seeds are signed.
                    "seeds": [start >> 1 for start in starts[place * request.n : (place + 1) * request.n]],
                }
                for place, prompt in enumerate(request.prompts)
            ],
        }

    def update_weights(self, save: SaveWeights) -> None:
        """They are written when vLLM is next used."""
        self._save = save
        self.close()

    def sleep(self) -> None:
        """Only a process that has ended has given back all its memory."""
        self.close()

    def close(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None

    def _started(self) -> VllmProcess:
        """The process, with the current weights."""
        if self._process is None:
            process = self._process = VllmProcess(self._config, self._device)
            # Written while the process imports vLLM, which takes its time.
            weights = self._base if self._save is None else {"model": write_weights(self._save, process.weights)}
            process.call({"load": {**weights, **self._arguments()}})
            shutil.rmtree(process.weights, ignore_errors=True)  # they are loaded
        return self._process

    def _arguments(self) -> Mapping[str, Any]:
        return {
            "dtype": self._dtype,
            "seed": 0,
            "enable_prefix_caching": True,
            # Sampling defaults in the model's own files are not used: each request says all.
            "generation_config": "vllm",
            "gpu_memory_utilization": self._config.vllm_gpu_memory_utilization,
            "tensor_parallel_size": self._config.vllm_tensor_parallel_size,
            "max_model_len": self._config.vllm_max_model_length,
            "enforce_eager": self._config.vllm_enforce_eager,
        }


def write_weights(save: SaveWeights, folder: Path) -> str:
    """
    Raises:
        RunError: there is no room for them.
    """
    try:
        folder.mkdir()
        save(folder)
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"the weights for vLLM cannot be written to {folder}: {error}",
            "vLLM loads them from there; they take 4 bytes a parameter until then",
            "free some space, or set TMPDIR to a folder with more",
        ) from error
    return str(folder)
