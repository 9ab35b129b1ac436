"""Torch's random numbers as a function of a key, so that no generator's state has to be saved."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(device: torch.device, key: str) -> Iterator[None]:
    """Everything drawn inside is a function of `key`; the caller's generators are left as they were."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(random.Random(key).getrandbits(63))
        yield
