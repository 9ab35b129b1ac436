"""Attention by kernels.c, which is built with the package where there is a C compiler; see hatch_build.py."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from selftrain.engines.compiled import load_library
from selftrain.engines.packed.architecture import Architecture
from selftrain.engines.packed.attention_pass import AttentionCache
from selftrain.engines.packed.kv_cache import BLOCK, KVCache
from selftrain.engines.packed.slot_layout import SlotLayout

LIBRARY = Path(__file__).with_name("kernels.so")
#: Fewer rows are not worth another thread.
ROWS_PER_THREAD = 16


class _Pass(ctypes.Structure):
    """`struct pass` of kernels.c: counts of `Architecture` and `SlotLayout`, then

    start: columns that are written in each own sequence; shared: in the sequences of the text that all prompts share.
    shared_capacity, prompt_capacity, own_capacity: columns of a sequence, written or not.
    window: columns that a token attends to at most; cap: of scores, 0 for none.
    place: `SlotLayout.place`; prompt_lengths: `[prompts]`, null while prompts are read.
    """

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("kv_heads", "group", "completions", "tokens", "start")),
        *(
            (name, ctypes.c_int64)
            for name in ("shared", "shared_capacity", "prompt_capacity", "own_capacity", "window")
        ),
        ("cap", ctypes.c_float),
        ("place", ctypes.c_void_p),
        ("prompt_lengths", ctypes.c_void_p),
    )


@cache
def kernels() -> ctypes.CDLL | None:
    """The library; None where it was not built, or this processor cannot run it."""
    library = load_library(LIBRARY)
    if library is None or not hasattr(library, "attention"):  # built from an earlier source
        return None
    number, pointer = ctypes.c_int64, ctypes.c_void_p
    library.keep.argtypes, library.keep.restype = (pointer, number, number, pointer, pointer, pointer), None
    library.attention.argtypes, library.attention.restype = (pointer, *[number] * 3, *[pointer] * 5), None
    return library


def can_compute(architecture: Architecture) -> bool:
    return kernels() is not None and architecture.head_dim % BLOCK == 0


class CompiledPass:
    """See `AttentionPass`.

    Args:
        first_row: index of the layout's first row among all rows of the pass.
    """

    def __init__(self, architecture: Architecture, layout: SlotLayout, cache: AttentionCache, first_row: int) -> None:
        self._architecture, self._layout, self._cache = architecture, layout, cache
        self._rows = range(first_row, first_row + len(layout.place))
        prompt_capacity = 0 if cache.prompt is None else cache.prompt.capacity
        shared, shared_capacity = (0, 0) if cache.shared is None else (cache.shared.length, cache.shared.capacity)
        self._scores = cache.own.capacity + prompt_capacity + shared_capacity + 3 * BLOCK
        self._by_type = {
            kind: _Pass(
                kv_heads=architecture.kv_heads,
                group=architecture.group,
                completions=layout.completions,
                tokens=layout.tokens,
                start=cache.own.length,
                shared=shared,
                shared_capacity=shared_capacity,
                prompt_capacity=prompt_capacity,
                own_capacity=cache.own.capacity,
                window=2**62 if window is None else window,
                cap=architecture.attention_softcap or 0.0,
                place=layout.place.data_ptr(),
                prompt_lengths=None if cache.prompt is None else cache.prompt_lengths.data_ptr(),
            )
            for kind, window in architecture.windows.items()
        }

    def attend(self, layer: int, qkv: Tensor) -> Tensor:
        library, architecture, cache = kernels(), self._architecture, self._cache
        assert library is not None
        info = ctypes.addressof(self._by_type[architecture.layer_types[layer]])
        dim, rows = architecture.head_dim, len(self._rows)
        own = _pointers(cache.own, layer)
        # Keys, values of each: `struct cache` of kernels.c.
        kinds = [_pointers(cache.shared, layer), _pointers(cache.prompt, layer), own]
        keys, values = ((ctypes.c_void_p * 3)(*pointers) for pointers in zip(*kinds, strict=True))
        own_qkv = qkv[self._rows.start : self._rows.stop].data_ptr()
        out = torch.empty(rows, architecture.heads * dim)
        library.keep(info, rows, dim, own_qkv, *own)

        def attend(first: int, until: int) -> None:
            scores = torch.empty(self._scores)
            library.attention(info, first, until, dim, own_qkv, keys, values, out.data_ptr(), scores.data_ptr())

        parts = min(torch.get_num_threads(), rows // ROWS_PER_THREAD)
        if parts <= 1:
            attend(0, rows)
        else:
            bounds = [rows * part // parts for part in range(parts + 1)]
            list(_threads().map(attend, bounds, bounds[1:]))
        return out


def _pointers(cache: KVCache | None, layer: int) -> list[int | None]:
    return [None, None] if cache is None else [part.data_ptr() for part in cache.layer(layer)]


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix="attention")
