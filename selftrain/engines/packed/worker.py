"""The process of a helper: reads what to load, then questions, from its standard input, until that is closed."""

from __future__ import annotations

import json
import sys
from typing import IO, Any

import safetensors.torch
import torch

from selftrain.engines.packed.architecture import read_architecture
from selftrain.engines.packed.engine import PackedEngine
from selftrain.engines.transformers import TransformersEngine
from selftrain.engines.workers.requests import answer
from selftrain.models.prompts import PromptConfig


def load(asked: dict[str, Any]) -> PackedEngine:
    slow = TransformersEngine.load(
        **{**asked, "prompt_config": PromptConfig.from_dict(asked["prompt_config"])}, device="cpu"
    )
    return PackedEngine(slow, read_architecture(slow.model))


def take_weights(engine: PackedEngine, blob: bytes) -> None:
    ours = dict(engine.slow.model.named_parameters())
    with torch.no_grad():
        for name, one in safetensors.torch.load(blob).items():
            ours[name].copy_(one)


def serve(source: IO[bytes], target: IO[bytes]) -> None:
    engine = load(json.loads(source.readline()))
    target.write(b"ready\n")
    target.flush()
    while line := source.readline():
        asked = json.loads(line)
        if asked["weights"]:
            take_weights(engine, source.read(asked["weights"]))
        target.write(json.dumps(answer(engine, asked)).encode() + b"\n")
        target.flush()


if __name__ == "__main__":
    # Whatever a library prints goes nowhere, and not between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    serve(sys.stdin.buffer, answers.buffer)
