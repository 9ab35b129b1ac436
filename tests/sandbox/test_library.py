"""What honest programs find in the profile `pure`: the standard library, numpy, and stand-ins for what is denied."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from selftrain.sandbox import CheckJob, Sandbox, StdinJob

#: Not offered, as docs/sandbox.md says, or of another system.
LEFT_OUT = {"antigravity", "this", "ensurepip", "venv", "idlelib", "lib2to3", "turtledemo", "pydoc_data"}

#: All print 6; standard input is a line with 5.
PROGRAMS = r'''
=== argparse
import argparse
parser = argparse.ArgumentParser(); parser.add_argument("--n", type=int, default=6)
print(parser.parse_args([]).n)
=== unittest
import io, unittest
class T(unittest.TestCase):
    def test(self): self.assertEqual(1, 1)
tests = unittest.defaultTestLoader.loadTestsFromTestCase(T)
print(6 * unittest.TextTestRunner(stream=io.StringIO()).run(tests).wasSuccessful())
=== mock
from unittest.mock import Mock
print(Mock(return_value=6)())
=== doctest
def f():
    """
    >>> f()
    6
    """
    return 6
import doctest
print(6 if doctest.testmod().attempted == 1 else 0)
=== contextvars
import contextvars
print(contextvars.ContextVar("v", default=6).get())
=== thread pool
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as pool: print(sum(pool.map(int, "123")))
=== asyncio
import asyncio
async def f(n):
    await asyncio.sleep(0.01 * n)
    return n
async def main(): print(sum(await asyncio.gather(*map(f, range(4)))))
asyncio.run(main())
=== asyncio with a queue and a time limit
import asyncio
async def main():
    queue = asyncio.Queue()
    async def give(): await queue.put(6)
    got, _ = await asyncio.gather(queue.get(), give())
    try: await asyncio.wait_for(asyncio.sleep(5), 0.02)
    except asyncio.TimeoutError: print(got)
asyncio.get_event_loop_policy().new_event_loop().run_until_complete(main())
=== asyncio with threads
import asyncio, threading
async def main():
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    threading.Timer(0.02, lambda: loop.call_soon_threadsafe(future.set_result, 3)).start()
    print(await future + await asyncio.to_thread(lambda: 3))
asyncio.run(main())
=== /dev/stdin
print(int(open("/dev/stdin").read()) + 1)
=== /dev/stdin in another way
import pathlib
print(int(pathlib.Path("/dev/stdin").read_text()) + 1)
=== a descriptor's path
with open("/proc/self/fd/0", "rb") as file: print(int(file.readline()) + 1)
=== /dev/stdin by os.open
import os
print(int(os.read(os.open("/dev/stdin", os.O_RDONLY), 100)) + 1)
=== fileinput
import fileinput
print(int(next(fileinput.input())) + 1)
=== mmap
import mmap
print(int(mmap.mmap(0, 0, prot=mmap.PROT_READ)[:]) + 1)
=== /dev/null
import os, sys
sys.stderr = open(os.devnull, "w")
print(6)
=== stack limit
import resource
resource.setrlimit(resource.RLIMIT_STACK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(6)
=== deep recursion through C
import sys
from functools import lru_cache
sys.setrecursionlimit(10**6)
@lru_cache(None)
def f(n): return 0 if n == 0 else 1 + f(n - 1)
depth = 20000 if sys.version_info < (3, 12) else 1000  # Python's own limit is lower since
print(f(depth) - depth + 6)
=== a thread with a large stack
import sys, threading
sys.setrecursionlimit(10**7); threading.stack_size(2**29)
thread = threading.Thread(target=print, args=(6,)); thread.start(); thread.join()
=== sqlite3
import sqlite3
print(sqlite3.connect(":memory:").execute("select 1 + 5").fetchone()[0])
=== XML
import xml.etree.ElementTree as tree
print(tree.fromstring("<a>6</a>").text)
=== codecs of all countries
for name in ("big5", "cp1251", "euc_jp", "koi8_r"): "6".encode(name)
print(6)
=== locale
import locale
locale.setlocale(locale.LC_ALL, "")
print(6)
=== imported and not used
import subprocess, socket, tempfile, shutil, glob, multiprocessing, ssl, http.client, urllib.request
print(6)
'''


def programs() -> dict[str, str]:
    return dict(part.split("\n", 1) for part in PROGRAMS.split("\n=== ")[1:])  # type: ignore[misc]


def test_the_library_works_as_usual(sandbox: Sandbox) -> None:
    outcomes = sandbox.run_stdin([StdinJob(text, "5\n") for text in programs().values()])
    together = zip(programs(), outcomes, strict=True)
    assert [(name, one) for name, one in together if (one.status, one.stdout) != ("ran", "6\n")] == []


def test_every_module_can_be_imported(sandbox: Sandbox) -> None:
    names = sorted(name for name in sys.stdlib_module_names - LEFT_OUT if not name.startswith("_"))
    here = [name for name in names if importlib.util.find_spec(name)]
    # Some belong to Windows, or are not built into this Python.
    text = (
        "import importlib, warnings\nwarnings.simplefilter('ignore')\nmissing = []\n"
        f"for name in {here!r}:\n"
        "    try: importlib.import_module(name)\n"
        "    except ImportError as error: missing.append((name, str(error)))\n"
        "print(missing)"
    )
    outcome = sandbox.run_stdin([StdinJob(text)])[0]
    missing = {name for name, _ in eval(outcome.stdout)}
    assert len(here) > 150 and missing <= {name for name in missing if not _imports_here(name)}, outcome


def _imports_here(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def test_numpy_is_there_for_programs_and_tests_that_name_it(sandbox: Sandbox) -> None:
    pytest.importorskip("numpy")
    texts = [
        "import numpy as np, sys\nprint(np.array(sys.stdin.read().split(), np.int64).sum() + 1)",
        "import numpy as np\nprint(int(round(np.linalg.det(np.eye(3) * 2))) - 2)",
        "import numpy as np\nnp.testing.assert_allclose(np.fft.fft([1.0]), [1.0])\nprint(6)",
    ]
    assert [one.stdout for one in sandbox.run_stdin([StdinJob(text, "5") for text in texts])] == ["6\n"] * 3
    drawn = "import numpy as np\nprint(np.random.rand(), np.random.randint(10**9))"
    assert len({one.stdout for one in sandbox.run_stdin([StdinJob(drawn)] * 4)}) == 1
    array = "import numpy as np\ndef f(n): return np.arange(n) * n"
    scalar = "import numpy as np\ndef f(n): return np.int64(n) + np.float32(0)"
    test = "import numpy as np\nassert (f(2) == np.array([0, 2])).all() and f(np.int64(2)).dtype == np.int64"
    jobs = [
        CheckJob(array, "f", test),
        CheckJob(array, "f", "assert f(2).tolist() == [0, 2]"),  # the test knows no arrays
        CheckJob(scalar, "f", "assert f(2) == 2"),
        CheckJob("def f(a): return a.sum()", "f", "import numpy\nassert f(numpy.ones(3)) == 3"),
    ]
    assert [one.status for one in sandbox.check(jobs)] == ["passed", "unjudged", "passed", "passed"]


def test_what_a_program_writes_into_the_library_is_its_own(sandbox: Sandbox) -> None:
    """It may change its copy of the memory that holds the modules; the next program has the right one."""
    poison = (
        "import ctypes, sys\n"
        "finder = next(one for one in sys.meta_path if type(one).__name__ == 'MemoryFinder')\n"
        "view = (ctypes.c_char * len(finder._memory)).from_buffer_copy(finder._memory)\n"
        "libc = ctypes.CDLL(None)\n"
        "class Buffer(ctypes.Structure): _fields_ = [('head', ctypes.c_ssize_t * 2), ('data', ctypes.c_void_p)]\n"
        "address = Buffer.from_address(id(finder._memory)).data\n"
        "print(libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(len(view)), 3))\n"
        "ctypes.memset(address, 0, len(view))\n"
        "try: import wave\n"
        "except Exception: print('poisoned')\n"
    )
    assert sandbox.run_stdin([StdinJob(poison)])[0].stdout == "0\npoisoned\n"
    after = sandbox.run_stdin([StdinJob("import wave; print(6)")] * 4)
    assert {one.stdout for one in after} == {"6\n"}


@pytest.mark.parametrize(
    "text",
    [
        "import subprocess; subprocess.run(['true'])",
        "import socket; socket.socket()",
        "import multiprocessing; multiprocessing.Pool(2)",
        "import tempfile; tempfile.TemporaryFile()",
        "open('/dev/stdin/../../etc/passwd')",
        "open('/dev/fd/9')",
        "import os; os.kill(os.getpid(), 19)",
    ],
)
def test_what_needs_more_of_the_system_fails_at_once(sandbox: Sandbox, text: str) -> None:
    outcome = sandbox.run_stdin([StdinJob(text)])[0]
    assert outcome.status == "crashed" and "Error" in outcome.reason, outcome
