"""The process that owns a started server, run as a script: standard library only.

Lines on its standard input tell it what to do. When that closes, because the run has ended or was killed, it ends the
server and all that the server started, and removes the folder of weights.
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

#: Seconds that a server has to end by itself, so that it frees a GPU's memory in order.
GRACE = 10.0
#: Name of the file with what the server prints.
OUTPUT = "server.log"

Server = subprocess.Popen[bytes]


def start(folder: Path, command: list[str]) -> Server | None:
    with (folder / OUTPUT).open("wb") as output:
        try:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        except OSError as error:
            output.write(str(error).encode())
            return None


def end(server: Server | None) -> None:
    """Ends its whole process group, which includes its workers."""
    if server is None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(server.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(GRACE)


def state(server: Server | None) -> str:
    if server is None:
        return "did not start"
    code = server.poll()
    return "running" if code is None else f"ended with exit code {code}"


def watch(folder: Path) -> None:
    server: Server | None = None
    try:
        for line in sys.stdin:
            message = json.loads(line)
            if message["do"] != "state":
                end(server)
                server = None
            if message["do"] == "start":
                server = start(folder, message["command"])
            print(state(server), flush=True)
    finally:
        end(server)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    watch(Path(sys.argv[1]))
