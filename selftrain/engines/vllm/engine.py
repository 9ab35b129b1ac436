"""vLLM generates; the trainer's module stays where it is, and scores given texts."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from selftrain.engines.base import Engine, SaveWeights
from selftrain.engines.completion import Completion
from selftrain.engines.context import EngineContext
from selftrain.engines.request import GenerateRequest
from selftrain.engines.transformers import TransformersEngine
from selftrain.engines.vllm.config import VllmConfig
from selftrain.engines.vllm.find_vllm import vllm_version
from selftrain.engines.vllm.live_model import LiveModel
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
        #: What generates.
        self.live = LiveModel(context)
        version = vllm_version(self._config.vllm_python) or "of unknown version"
        self.description = f"vLLM {version} in {self.live.dtype}, in a process of its own"

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
            process = self.live.process()
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
                self.live.end()

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
        self.live.update_weights(save)

    def sleep(self) -> None:
        self.live.sleep()

    def close(self) -> None:
        self.live.end()
