"""CTranslate2's generator, in float32 on one thread. It has no samples of one prompt: the prompt is repeated."""

from __future__ import annotations

import tempfile
from typing import Any

import ctranslate2

from benchmarks.peers.serving import Work, serve


def start(asked: dict[str, Any]) -> tuple[Work, str]:
    with tempfile.TemporaryDirectory() as folder:
        ctranslate2.converters.TransformersConverter(asked["model"]).convert(folder, force=True)
        generator = ctranslate2.Generator(folder, compute_type="float32", intra_threads=1, inter_threads=1)
    repeated = [prompt for prompt in asked["prompt_tokens"] for _ in range(asked["samples"])]

    def work() -> float:
        results = generator.generate_batch(
            repeated, max_batch_size=asked["at_once"], max_length=asked["max_completion_length"],
            sampling_topk=asked["top_k"], sampling_temperature=asked["temperature"], include_prompt_in_result=False,
            end_token=asked["end_token"], return_end_token=True,
        )  # fmt: skip
        return sum(len(one.sequences_ids[0]) for one in results)

    return work, f"ctranslate2 {ctranslate2.__version__}"


if __name__ == "__main__":
    serve(start)
