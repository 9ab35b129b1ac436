"""Recognizes the errors by which torch reports that it is out of memory."""

from __future__ import annotations

import torch

#: Messages of plain RuntimeErrors.
_MESSAGES = ("can't allocate memory", "out of memory", "bad_alloc", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(text in str(error) for text in _MESSAGES)
