"""A bounded cache, so that grading a long run does not fill the memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class VerdictCache(Generic[K, V]):
    """Keeps the newest `size` entries. Thread-safe."""

    def __init__(self, size: int) -> None:
        self._size, self._entries, self._lock = size, OrderedDict[K, V](), threading.Lock()

    def get(self, key: K) -> V | None:
        return self._entries.get(key)

    def update(self, entries: Mapping[K, V]) -> None:
        with self._lock:
            self._entries.update(entries)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)
