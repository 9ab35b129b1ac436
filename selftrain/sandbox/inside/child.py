"""One job in one process: dress, load the program, do what its kind asks, end. It never returns.

stdin    descriptors: job, stdin, stdout, report     run as a script
call     descriptors: job, report                    call a function, one line of plain data for each call
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

from selftrain.sandbox.inside import checker, jail
from selftrain.sandbox.inside.codec import Decoder, from_text, to_text
from selftrain.sandbox.inside.serving import Answers, answer, resolve

#: The only exit status with a meaning: the program raised something that nothing caught.
RAISED = 70


def run(
    order: Mapping[str, Any],
    descriptors: Sequence[int],
    null: int,
    dress: jail.Jail,
    parent: int,
    dressed: mmap.mmap,
) -> NoReturn:
    """`dressed` is one byte shared with the supervisor, let go of before any foreign code runs: only our own failures
    are excused, and no program can make its own look like one of ours."""
    status = RAISED
    try:
        os.setsid()
        job = from_text(_whole(descriptors[0]))
        streams = (descriptors[1], descriptors[2], null) if order["kind"] == "stdin" else (null, null, null)
        rest = descriptors[3:] if order["kind"] == "stdin" else descriptors[1:]
        jail.place([*streams, *rest], after=(dress.ruleset,))
        jail.tidy(streams=order["kind"] == "stdin")
        jail.put_on(dress, order["limits"])
        if os.getppid() != parent:  # it died before we could be tied to it
            os._exit(RAISED)
        dressed[0] = 1
        dressed.close()
        status = _KINDS[order["kind"]](job, order["limits"])
    finally:
        os._exit(status)


def _whole(descriptor: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    parts = []
    while part := os.read(descriptor, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _load(program: str, name: str) -> dict[str, Any]:
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(program, "main.py", "exec", dont_inherit=True), module.__dict__)
    return module.__dict__


def describe(error: BaseException) -> str:
    """One line about an exception whose class, and so whose text, may be anybody's."""
    try:
        return f"{type(error).__name__}: {error}"[:300]
    except BaseException:
        return "an exception"


def _stdin(job: Mapping[str, Any], limits: Mapping[str, Any]) -> int:
    flush = sys.stdout.flush
    status = 0
    try:
        _load(job["program"], "__main__")
    except SystemExit:
        pass
    except BaseException as error:
        status = RAISED
        _write(3, to_text(describe(error)))
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]  # threads and exit handlers may still have lines to write
        atexit._run_exitfuncs()
    for one in (flush, lambda: sys.stdout.flush()):
        with contextlib.suppress(BaseException):
            one()
    return status


def _call(job: Mapping[str, Any], limits: Mapping[str, Any]) -> int:
    try:
        function = resolve(_load(job["program"], "solution"), job["entry_point"])
        calls = [Decoder().decode(arguments) for arguments in job["calls"]]
    except SystemExit:
        return 0
    except BaseException as error:
        _write(3, to_text({"load": describe(error)}) + b"\n")
        return RAISED
    for arguments in calls:
        _write(3, to_text(answer(function, arguments, {}, None)) + b"\n")
    return 0


def _serve(job: Mapping[str, Any], limits: Mapping[str, Any]) -> int:
    dead, names = None, {}
    try:
        names = _load(job["program"], "solution")
    except SystemExit:
        return 0
    except BaseException as error:
        dead = describe(error)
    Answers(3, names, dead, limits["output_bytes"]).serve()
    return 0


def _check(job: Mapping[str, Any], limits: Mapping[str, Any]) -> int:
    verdict = checker.judge(job, 3, limits["output_bytes"])
    _write(4, to_text(verdict))
    return 0


def _write(descriptor: int, text: bytes) -> None:
    while text:
        text = text[os.write(descriptor, text) :]


_KINDS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], int]] = {
    "stdin": _stdin,
    "call": _call,
    "serve": _serve,
    "check": _check,
}
