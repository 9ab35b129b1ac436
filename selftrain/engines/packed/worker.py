"""The program of a worker process: reads what to load, then requests, from its standard input until that is closed."""

from __future__ import annotations

import json
import sys
from typing import IO, Any

import safetensors.torch
import torch

from selftrain.engines.packed.architecture import read_architecture
from selftrain.engines.packed.engine import PackedEngine
from selftrain.engines.request import GenerateRequest
from selftrain.engines.transformers import ModelSpec, TransformersEngine
from selftrain.storage.rows import response_row


def load(spec: dict[str, Any]) -> PackedEngine:
    reference = TransformersEngine.load(ModelSpec.from_json(spec), device="cpu")
    return PackedEngine(reference, read_architecture(reference.model))


def set_weights(engine: PackedEngine, blob: bytes) -> None:
    parameters = dict(engine.reference.model.named_parameters())
    with torch.no_grad():
        for name, value in safetensors.torch.load(blob).items():
            parameters[name].copy_(value)


def serve(source: IO[bytes], target: IO[bytes]) -> None:
    engine = load(json.loads(source.readline()))
    target.write(b"ready\n")
    target.flush()
    while line := source.readline():
        message = json.loads(line)
        if message["weight_bytes"]:
            set_weights(engine, source.read(message["weight_bytes"]))
        responses = engine.generate(GenerateRequest.from_json(message["request"]))
        target.write(json.dumps([response_row(response) for response in responses]).encode() + b"\n")
        target.flush()


if __name__ == "__main__":
    # What libraries print must not end up between the responses.
    responses, sys.stdout = sys.stdout, sys.stderr
    serve(sys.stdin.buffer, responses.buffer)
