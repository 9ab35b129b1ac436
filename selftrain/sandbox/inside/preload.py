"""Modules that are loaded before any program runs: the `pure` profile can open no file, so no import works later.

The common and the compiled ones are loaded here; the rest of the standard library is imported from memory (library.py).
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import locale
import os
import sys
import time
import warnings
from pathlib import Path

_COMMON = """
abc argparse array ast base64 binascii bisect builtins calendar cmath codecs collections collections.abc colorsys
concurrent.futures.thread contextlib contextvars copy copyreg csv ctypes dataclasses datetime decimal difflib dis enum
errno fnmatch fractions functools gc graphlib hashlib heapq hmac html html.parser importlib.util inspect io itertools
json keyword linecache locale logging math numbers operator os os.path pathlib pickle platform pprint queue random re
reprlib sched secrets shlex signal stat statistics string struct sys tempfile textwrap threading time timeit token
tokenize traceback types typing unicodedata urllib.parse uuid warnings weakref zlib _strptime
encodings.ascii encodings.idna encodings.latin_1 encodings.utf_8 encodings.utf_16 encodings.rot_13
encodings.utf_8_sig encodings.raw_unicode_escape encodings.unicode_escape
"""
_NUMPY = "numpy numpy.fft numpy.linalg numpy.ma numpy.matlib numpy.polynomial numpy.random numpy.testing numpy.typing"


def preload() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in (*_COMMON.split(), *sys.builtin_module_names, *_compiled()):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    # These read files while they can: the time zone, and the locale of the environment.
    time.tzset()
    with contextlib.suppress(locale.Error):
        locale.setlocale(locale.LC_ALL, "")
    for name in ("exit", "quit"):  # otherwise the module `site` defines them; stdin programs use them
        setattr(builtins, name, sys.exit)


def preload_numpy(folder: str) -> None:
    """
    Args:
        folder: where numpy is installed; nothing else is imported from there later.
    """
    sys.path.append(folder)
    for name in _NUMPY.split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    sys.path.remove(folder)


def _compiled() -> list[str]:
    """The modules of the standard library that are not Python."""
    names = (path.name.split(".")[0] for path in (Path(os.__file__).parent / "lib-dynload").glob("*.so"))
    # _asyncio would load asyncio, which does without it; the others are for Python's own tests.
    return sorted(name for name in names if name != "_asyncio" and "test" not in name and not name.startswith("xx"))
