"""A server that the run starts for its weights, and that never outlives the run."""

from __future__ import annotations

import contextlib
import json
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError

from selftrain.engines.base import SaveWeights
from selftrain.engines.server.secret import Secret
from selftrain.engines.server.watchdog import OUTPUT
from selftrain.errors import RunError

_PROGRAM = Path(__file__).with_name("watchdog.py")
#: How much of a server's output an error shows: lines, characters per line, and the bytes at its end that are read.
_LINES, _WIDTH, _TAIL = 15, 300, 1 << 16


class ManagedServer:
    """One server at a time, each owned by a watchdog process, with the weights in a folder of its own.

    Args:
        command: starts a server; {model} and {port} are filled in.
        save: writes the weights that it is to load.
        api_key: hidden in what it prints.
    """

    def __init__(self, command: str, save: SaveWeights, api_key: str | None = None) -> None:
        self._command, self._save, self._secret = command, save, Secret(api_key)
        self._watchdog: _Watchdog | None = None

    def start(self) -> str:
        """Its address. It may take minutes until something answers there.

        Raises:
            RunError: there is no room for the weights.
        """
        watchdog, port = self._with_weights(), str(_free_port())
        words = shlex.split(self._command)
        watchdog.call(
            "start", [word.replace("{model}", str(watchdog.weights)).replace("{port}", port) for word in words]
        )
        return f"http://127.0.0.1:{port}/v1"

    def _with_weights(self) -> _Watchdog:
        if self._watchdog is None:
            watchdog = _Watchdog()
            try:
                self._save(watchdog.weights)
            except (OSError, SafetensorError) as error:
                watchdog.close()
                raise RunError(
                    f"the weights for a server cannot be written to {watchdog.weights}: {error}",
                    "a server loads them from a folder, 4 bytes a parameter, which is removed when it ends",
                    "set TMPDIR to a folder with more room, then `selftrain resume` the run",
                ) from error
            self._watchdog = watchdog
        return self._watchdog

    def failure(self) -> str:
        """How it ended, with its last output; empty while it runs."""
        state = "did not start" if self._watchdog is None else self._watchdog.call("state")
        return "" if state == "running" else f"it {state}{self.last_output()}"

    def last_output(self) -> str:
        """The end of what it printed, to append to a sentence."""
        with contextlib.suppress(OSError):
            if self._watchdog is not None:
                text = (self._watchdog.folder / OUTPUT).read_bytes()[-_TAIL:].decode(errors="replace")
                # Before lines are cut, which could leave a part of the key; without the first, which may begin in it.
                lines = self._secret.hide_lines("\n".join(text.strip().splitlines()[-_LINES - 1 :])).splitlines()
                # No colours, and no other control characters.
                lines = ["".join(filter(str.isprintable, line[:_WIDTH])) for line in lines[-_LINES:]]
                if lines:
                    return "\n".join(["; its last output:", *lines])
        return "; it printed nothing"

    def stop(self) -> None:
        """Ends it; it can be started again with the same weights."""
        if self._watchdog is not None:
            self._watchdog.call("stop")

    def update_weights(self, save: SaveWeights) -> None:
        """Ends it; the next one loads other weights."""
        self.close()
        self._save = save

    def close(self) -> None:
        if self._watchdog is not None:
            self._watchdog.close()
        self._watchdog = None


class _Watchdog:
    """A process that runs `watchdog`, and the folder that it removes at its end."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="selftrain-server-"))
        self.weights = self.folder / "weights"
        self.weights.mkdir()
        # A session of its own: Ctrl-C in the terminal is for the run, which finishes the requests in flight.
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_PROGRAM), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def call(self, do: str, command: Sequence[str] = ()) -> str:
        """The server's state afterwards."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, "command": list(command)}) + "\n")
            self._process.stdin.flush()
            return self._process.stdout.readline().strip() or "ended with its watchdog"
        except OSError:
            return "ended with its watchdog"

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._process.communicate()


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
