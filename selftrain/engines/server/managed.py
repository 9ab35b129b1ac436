"""A server that is started for weights, and never outlives the run."""

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

from selftrain.engines.base import Save
from selftrain.engines.server.keeper import OUTPUT
from selftrain.errors import RunError

_PROGRAM = Path(__file__).with_name("keeper.py")
#: How much of what a server printed an error shows: lines, and characters of a line; and bytes they are looked for in.
_LINES, _WIDTH, _TAIL = 15, 300, 1 << 16


class Started:
    """One server at a time, each in the care of a keeper, with the weights in a folder of its own.

    Args:
        command: starts a server; {model} and {port} are filled in.
        save: writes the weights that it is to hold.
        key: struck out of what it prints.
    """

    def __init__(self, command: str, save: Save, key: str | None = None) -> None:
        self._command, self._save, self._key = command, save, key
        self._keeper: _Keeper | None = None

    def start(self) -> str:
        """Its address. It may take long until something answers there.

        Raises:
            RunError: there is no room for the weights.
        """
        keeper, port = self._with_weights(), str(_free_port())
        words = shlex.split(self._command)
        keeper.tell("start", [word.replace("{model}", str(keeper.weights)).replace("{port}", port) for word in words])
        return f"http://127.0.0.1:{port}/v1"

    def _with_weights(self) -> _Keeper:
        if self._keeper is None:
            keeper = _Keeper()
            try:
                self._save(keeper.weights)
            except (OSError, SafetensorError) as error:
                keeper.close()
                raise RunError(
                    f"the weights for a server cannot be written to {keeper.weights}: {error}",
                    "a server reads them from a folder, 4 bytes a weight, which is removed when it ends",
                    "set TMPDIR to a folder with room and go on with `selftrain resume`",
                ) from error
            self._keeper = keeper
        return self._keeper

    def death(self) -> str:
        """How it ended, with its last words; nothing where it runs."""
        told = "ended before it began" if self._keeper is None else self._keeper.tell("tell")
        return "" if told == "running" else f"it {told}{self.last_words()}"

    def last_words(self) -> str:
        """The end of what it printed, to stand behind another sentence."""
        with contextlib.suppress(OSError):
            if self._keeper is not None:
                text = (self._keeper.folder / OUTPUT).read_bytes()[-_TAIL:].decode(errors="replace")
                text = text.replace(self._key, "***") if self._key else text
                # No colours, and nothing else that would steer a terminal.
                lines = ["".join(filter(str.isprintable, line[:_WIDTH])) for line in text.strip().splitlines()]
                if lines:
                    return "\n".join(["; the last that it printed:", *lines[-_LINES:]])
        return "; it printed nothing"

    def stop(self) -> None:
        """Ends it; it can be started again with the same weights."""
        if self._keeper is not None:
            self._keeper.tell("stop")

    def renew(self, save: Save) -> None:
        """Ends it; the next one gets other weights."""
        self.close()
        self._save = save

    def close(self) -> None:
        if self._keeper is not None:
            self._keeper.close()
        self._keeper = None


class _Keeper:
    """The process of `keeper`, and the folder that it removes at its end."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="selftrain-server-"))
        self.weights = self.folder / "weights"
        self.weights.mkdir()
        # A session of its own: Ctrl-C in the terminal is for the run, which finishes the answers in hand.
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_PROGRAM), str(self.folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def tell(self, what: str, command: Sequence[str] = ()) -> str:
        """What became of the server by then."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": what, "command": list(command)}) + "\n")
            self._process.stdin.flush()
            return self._process.stdout.readline().strip() or "ended with its keeper"
        except OSError:
            return "ended with its keeper"

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._process.communicate()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
