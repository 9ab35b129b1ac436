"""Attention by kernels.c, which is built with the package where there is a C compiler; see hatch_build.py."""

from __future__ import annotations

import ctypes
import platform
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from selftrain.engines.packed.architecture import Architecture
from selftrain.engines.packed.kv_cache import BLOCK, KVCache
from selftrain.engines.packed.slot_layout import SlotLayout

LIBRARY = Path(__file__).with_name("kernels.so")
#: Rows worth the start of another thread.
ROWS_A_THREAD = 16


class _Pass(ctypes.Structure):
    """As `struct pass` in kernels.c: counts of `Architecture` and `SlotLayout`, then

    start: columns that are written in each own sequence.
    prompt_room, own_room: columns a sequence, written or not.
    window: columns that are seen at most; cap: of scores, 0 for none.
    place: `SlotLayout.place`; prompt_lengths: `[prompts]`, null where prompts are being read.
    """

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("kv_heads", "group", "answers", "tokens", "start")),
        *((name, ctypes.c_int64) for name in ("prompt_room", "own_room", "window")),
        ("cap", ctypes.c_float),
        ("place", ctypes.c_void_p),
        ("prompt_lengths", ctypes.c_void_p),
    )


@cache
def kernels() -> ctypes.CDLL | None:
    """The library; None where it was not built or this processor cannot run it."""
    if platform.machine() == "x86_64" and "AVX" not in torch.backends.cpu.get_cpu_capability():
        return None
    try:
        library = ctypes.CDLL(str(LIBRARY))
    except OSError:
        return None
    number, pointer = ctypes.c_int64, ctypes.c_void_p
    library.keep.argtypes, library.keep.restype = (pointer, number, number, pointer, pointer, pointer), None
    library.attend.argtypes, library.attend.restype = (pointer, *[number] * 3, *[pointer] * 7), None
    return library


def can_compute(architecture: Architecture) -> bool:
    return kernels() is not None and architecture.head_dim % BLOCK == 0


class CompiledPass:
    """A `Pass` by another way; keys lie in the memory in an order of its own, so a memory is for one kind of pass."""

    def __init__(
        self,
        architecture: Architecture,
        slots: SlotLayout,
        prompt: KVCache | None,
        prompt_lengths: Tensor,
        own: KVCache,
        first_row: int = 0,
    ) -> None:
        self._architecture, self._seats, self._prompt, self._own = architecture, slots, prompt, own
        self._prompt_lengths, self._rows = prompt_lengths, range(first_row, first_row + len(slots.place))
        self._columns = own.room + (0 if prompt is None else prompt.room)
        self._by_kind = {kind: self._pass(window) for kind, window in architecture.windows.items()}

    def attend(self, number: int, qkv: Tensor) -> Tensor:
        """See `Pass.attend`."""
        library, one = kernels(), self._architecture
        assert library is not None
        about, dim, rows = ctypes.addressof(self._by_kind[one.kinds[number]]), one.head_dim, len(self._rows)
        own = [kept.data_ptr() for kept in self._own.layer(number)]
        prompt = [None, None] if self._prompt is None else [kept.data_ptr() for kept in self._prompt.layer(number)]
        asked = qkv[self._rows.start : self._rows.stop].data_ptr()
        out = torch.empty(rows, one.heads * dim)
        library.keep(about, rows, dim, asked, *own)

        def attend(first: int, until: int) -> None:
            weights = torch.empty(self._columns + 2 * BLOCK)
            library.attend(about, first, until, dim, asked, *prompt, *own, out.data_ptr(), weights.data_ptr())

        parts = min(torch.get_num_threads(), rows // ROWS_A_THREAD)
        if parts <= 1:
            attend(0, rows)
        else:
            bounds = [rows * part // parts for part in range(parts + 1)]
            list(_threads().map(attend, bounds, bounds[1:]))
        return out

    def _pass(self, window: int | None) -> _Pass:
        one, prompt = self._architecture, self._prompt
        return _Pass(
            kv_heads=one.kv_heads, group=one.group, answers=self._seats.answers, tokens=self._seats.tokens,
            start=self._own.length, prompt_room=0 if prompt is None else prompt.room, own_room=self._own.room,
            window=2**62 if window is None else window, cap=one.score_cap or 0.0, place=self._seats.place.data_ptr(),
            prompt_lengths=None if prompt is None else self._prompt_lengths.data_ptr(),
        )  # fmt: skip


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix="attention")
