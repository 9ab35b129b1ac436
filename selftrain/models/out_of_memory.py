"""How torch says that memory does not suffice."""

from __future__ import annotations

import torch

#: In a RuntimeError without a class of its own.
_SIGNS = ("can't allocate memory", "out of memory", "bad_alloc", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(sign in str(error) for sign in _SIGNS)
