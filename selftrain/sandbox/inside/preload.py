"""Modules that are loaded before any program runs: the `pure` profile can open no file, so no import works later."""

from __future__ import annotations

import builtins
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
    time.tzset()  # reads the time zone file while it can
    for name in ("exit", "quit"):  # otherwise the module `site` defines them; stdin programs use them
        setattr(builtins, name, sys.exit)
