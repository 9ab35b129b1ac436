"""Counter-based random numbers: every response has a stream of its own.

The numbers of a stream are a function of (key, problem id, sample index) and the position in the text alone: not of
the batch, of the order of work, or of a global generator. The generator is SplitMix64 (Steele, Lea and Flood 2014),
started at a BLAKE2b hash of the key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)


def stream_start(key: str, problem_id: str, sample_index: int) -> int:
    """The 64-bit state at which the stream of one response starts."""
    # With lengths in front, so that no two keys and ids make the same name.
    name = f"{len(key)}/{key}/{len(problem_id)}/{problem_id}/{sample_index}"
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def uniforms(starts: Sequence[int], length: int) -> npt.NDArray[np.float64]:
    """`[len(starts), length]` numbers in [0, 1), row i from the stream that starts at `starts[i]`."""
    with np.errstate(over="ignore"):  # SplitMix64 counts modulo 2**64
        state = np.array(starts, dtype=np.uint64)[:, None] + _GAMMA * np.arange(1, length + 1, dtype=np.uint64)[None, :]
        state = (state ^ (state >> np.uint64(30))) * _MIX1
        state = (state ^ (state >> np.uint64(27))) * _MIX2
        state ^= state >> np.uint64(31)
    numbers: npt.NDArray[np.float64] = (state >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return numbers
