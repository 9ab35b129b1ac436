"""One job in one process: lock itself in, load the program, do what the job's kind says, exit.

stdin    descriptors: job, stdin, stdout, report     run the program as a script
call     descriptors: job, report                    call a function, and write one line of plain data per call
serve    descriptors: job, link                      answer the calls of a checker
check    descriptors: job, link, report              be the checker
"""

from __future__ import annotations

import atexit
import contextlib
import mmap
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, NoReturn

from selftrain.sandbox.inside.checker import run_test
from selftrain.sandbox.inside.codec import Decoder, Encoder, from_text, to_text
from selftrain.sandbox.inside.jail import Jail, place_descriptors, reset_interpreter
from selftrain.sandbox.inside.protocol import RAISED
from selftrain.sandbox.inside.serve_calls import CallServer, answer_call, resolve, write_all

#: Bytes: whether the child is locked in, and its pid.
SHARED = 9


def published_pid(shared: mmap.mmap) -> int:
    """0 if the child has not come so far."""
    return int.from_bytes(shared[1:SHARED], "little")


def is_locked_in(shared: mmap.mmap) -> bool:
    return shared[0] == 1


def run(
    order: Mapping[str, Any],
    descriptors: Sequence[int],
    jail: Jail,
    *,
    null: int,
    parent: int,
    proc: int,
    shared: mmap.mmap,
) -> NoReturn:
    """
    Args:
        null: a descriptor of /dev/null.
        parent: the supervisor's pid.
        proc: a descriptor of the driver's /proc, in which processes have the pids that it knows.
        shared: memory shared with the supervisor: this process's pid as the driver knows it, and a first byte that is
            set once the jail is closed. It is unmapped before foreign code runs: a program cannot make its failure
            look like one of ours.
    """
    status = RAISED
    try:
        os.setsid()
        with contextlib.suppress(OSError):
            shared[1:SHARED] = int(os.readlink("self", dir_fd=proc)).to_bytes(SHARED - 1, "little")
        job = from_text(_read_all(descriptors[0]))
        streams = (descriptors[1], descriptors[2], null) if order["kind"] == "stdin" else (null, null, null)
        rest = descriptors[3:] if order["kind"] == "stdin" else descriptors[1:]
        place_descriptors([*streams, *rest], keep=(jail.ruleset,))
        reset_interpreter(own_streams=order["kind"] == "stdin")
        jail.lock_in(order["limits"])
        if os.getppid() != parent:  # it died before our life was tied to it
            os._exit(RAISED)
        shared[0] = 1
        shared.close()
        status = _KINDS[order["kind"]](job, order["limits"])
    finally:
        os._exit(status)


def _read_all(descriptor: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    parts = []
    while part := os.read(descriptor, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _load(job: Mapping[str, Any], name: str) -> dict[str, Any]:
    module = ModuleType(name)
    sys.modules[name] = module
    for part, file in ((job["preamble"], "preamble.py"), (job["program"], "main.py")):
        exec(compile(part, file, "exec", dont_inherit=True), module.__dict__)
    return module.__dict__


def describe(error: BaseException) -> str:
    """One line about an exception; its class, and so its `__str__`, may be the program's."""
    try:
        return f"{type(error).__name__}: {error}"[:300]
    except BaseException:
        return "an exception"


def _stdin(job: Mapping[str, Any], limits: Mapping[str, Any]) -> int:
    flush = sys.stdout.flush
    status = 0
    try:
        _load(job, "__main__")
    except SystemExit:
        pass
    except BaseException as error:
        status = RAISED
        write_all(3, to_text(describe(error)))
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]  # threads and exit handlers may still write
        atexit._run_exitfuncs()
    for flush_one in (flush, lambda: sys.stdout.flush()):
        with contextlib.suppress(BaseException):
            flush_one()
    return status


def _call(job: Mapping[str, Any], limits: Mapping[str, Any]) -> int:
    try:
        function = resolve(_load(job, "solution"), job["entry_point"])
        calls = [Decoder().decode(arguments) for arguments in job["calls"]]
    except SystemExit:
        return 0
    except BaseException as error:
        write_all(3, to_text({"load": describe(error)}) + b"\n")
        return RAISED
    most = limits["output_bytes"] // 2
    for arguments in calls:
        encoder = Encoder(max_items=most, max_drained=most)
        write_all(3, to_text(answer_call(function, arguments, {}, encoder)) + b"\n")
    return 0


def _serve(job: Mapping[str, Any], limits: Mapping[str, Any]) -> int:
    load_error, names = None, {}
    try:
        names = _load(job, "solution")
    except SystemExit:
        return 0
    except BaseException as error:
        load_error = describe(error)
    CallServer(3, names, load_error, limits["output_bytes"]).serve()
    return 0


def _check(job: Mapping[str, Any], limits: Mapping[str, Any]) -> int:
    verdict = run_test(job, 3, limits["output_bytes"])
    write_all(4, to_text(verdict))
    return 0


_KINDS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], int]] = {
    "stdin": _stdin,
    "call": _call,
    "serve": _serve,
    "check": _check,
}
