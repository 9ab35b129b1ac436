"""Torch's chance as a function of a key, so that no generator's state has to be kept."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def chance(device: torch.device, key: str) -> Iterator[None]:
    """Whatever is drawn within is a function of `key`; nobody else's chance is touched."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(random.Random(key).getrandbits(63))
        yield
