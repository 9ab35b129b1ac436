"""The process that keeps a started server, run as a script: standard library only.

It is told what to do by lines on its standard input. When that ends, because the run is over or was killed however, it
ends the server and all that the server started, and removes the folder of weights.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

#: Seconds that a server has to end by itself, so that it gives back a GPU's memory in order.
GRACE = 10.0
#: In the folder: what the server prints.
OUTPUT = "server.log"

ServerConfig = subprocess.Popen[bytes]


def start(folder: Path, command: list[str]) -> ServerConfig | None:
    with (folder / OUTPUT).open("wb") as output:
        try:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        except OSError as error:
            output.write(str(error).encode())
            return None


def end(server: ServerConfig | None) -> None:
    """Ends its whole group: servers have workers of their own."""
    if server is None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(server.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(GRACE)


def state(server: ServerConfig | None) -> str:
    if server is None:
        return "ended before it began"
    code = server.poll()
    return "running" if code is None else f"ended with {code}"


def keep(folder: Path) -> None:
    server: ServerConfig | None = None
    try:
        for line in sys.stdin:
            told = json.loads(line)
            if told["do"] != "tell":
                end(server)
                server = None
            if told["do"] == "start":
                server = start(folder, told["command"])
            print(state(server), flush=True)
    finally:
        end(server)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    keep(Path(sys.argv[1]))
