"""Runs commands in children that are forked with everything imported, so that thousands take minutes.

`Commands` is the tests' end, the module itself the other.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.forking import Ended, Forking, serve

#: Exit code of a command that raised what is no message.
TRACEBACK = 98
#: Bytes of address space and of memory that a command may take beyond those of the process it is forked from.
ADDRESSES, MEMORY = 6 << 30, 2 << 30


@dataclass(frozen=True)
class Ran(Ended):
    """Its code is -14 after its time was up."""

    output: str

    def wrong(self, limit: float) -> str:
        """What is wrong with it; empty where it was accepted, or refused with a message."""
        if self.code == TRACEBACK or "Traceback (most recent call last)" in self.output:
            return "a traceback"
        if self.code == -signal.SIGALRM:
            return "no end"
        if self.seconds > limit:
            return f"{self.seconds:.0f} s"
        if self.code < 0:
            return f"signal {-self.code}"
        if self.memory > MEMORY:
            return f"{self.memory:,} bytes"
        silent = self.code and "selftrain: " not in self.output and "DAMAGED" not in self.output
        return "no message" if silent else ""


class Commands(Forking):
    def __init__(self) -> None:
        super().__init__(__name__)

    def run(self, words: Sequence[str], folder: Path, seconds: float) -> Ran:
        """A command in that folder; it is killed when its time is up."""
        output = folder.parent / f"{folder.name}.output"
        ended = self.order({"words": [*words], "folder": str(folder), "seconds": seconds, "output": str(output)})
        return Ran(**vars(ended), output=output.read_text(errors="replace"))


def _import_all() -> None:
    import importlib
    import pkgutil
    import re

    import torch
    from transformers import Gemma2ForCausalLM, LlamaForCausalLM, Qwen2ForCausalLM  # noqa: F401

    import selftrain
    from selftrain.cli.command import all_commands

    torch.set_num_threads(1)
    all_commands()
    for module in pkgutil.walk_packages(selftrain.__path__, "selftrain."):
        # Not a library for ctypes, nor what runs elsewhere: in a sandbox, in vLLM's or Ray's process, as a program.
        if not re.search(r"\.(kernels|sampling|inside|vllm|ray|watchdog|__main__)\b", module.name):
            importlib.import_module(module.name)


def _obey(order: Mapping[str, Any]) -> int:
    from selftrain.__main__ import main

    out = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(out, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(order["folder"])
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + ADDRESSES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, order["seconds"])
    sys.argv = ["selftrain", *order["words"]]
    try:
        code = main()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
    except BaseException:
        traceback.print_exc()
        code = TRACEBACK
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    _import_all()
    serve(_obey)
