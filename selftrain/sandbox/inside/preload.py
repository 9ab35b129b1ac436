"""Modules loaded before any program runs: in the `pure` profile no file can be opened, so no import reads one later."""

from __future__ import annotations

import contextlib
import importlib
import sys
import time

_MODULES = """
abc array ast base64 binascii bisect builtins calendar cmath codecs collections collections.abc colorsys contextlib
copy copyreg csv ctypes dataclasses datetime decimal difflib dis enum errno fnmatch fractions functools gc
graphlib hashlib heapq hmac html html.parser importlib.util inspect io itertools json keyword linecache
locale logging math numbers operator os os.path pathlib pickle platform pprint queue random re reprlib sched secrets
shlex signal stat statistics string struct sys tempfile textwrap threading time timeit token tokenize traceback
types typing
unicodedata urllib.parse uuid warnings weakref zlib _strptime
encodings.ascii encodings.idna encodings.latin_1 encodings.utf_8 encodings.utf_16 encodings.rot_13
encodings.utf_8_sig encodings.raw_unicode_escape encodings.unicode_escape concurrent.futures
"""


def preload() -> None:
    for name in _MODULES.split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    time.tzset()  # reads the time zone file now, since it cannot later
    _give_back_what_site_gives()


def _give_back_what_site_gives() -> None:
    """`exit` and `quit`, which the missing site module would have made; programs from stdin use them."""
    import builtins

    for name in ("exit", "quit"):
        setattr(builtins, name, sys.exit)
