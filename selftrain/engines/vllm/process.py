"""vLLM's process, seen from here: started, asked, ended. Nothing of it outlives the run, however that ends."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from selftrain.engines.vllm.config import VllmConfig
from selftrain.errors import ModelError

_PROGRAM = Path(__file__).with_name("program.py")
#: Lines of its own words that are shown where it fails.
SHOWN = 15
#: Seconds it is given to end by itself.
PATIENCE = 20.0


class VllmProcess:
    """
    Args:
        device: as in the settings; a numbered GPU is the only one it sees.
    """

    def __init__(self, settings: VllmConfig, device: str) -> None:
        #: For all that it leaves on the disk. It knows the place from the start, and removes it if the run is killed.
        self.folder = Path(tempfile.mkdtemp(prefix="selftrain-vllm-"))
        #: Where weights are handed over.
        self.weights = self.folder / "weights"
        self._words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        # A group of its own: it is ended as a whole, vLLM's workers too, and Ctrl-C in the terminal is for the run.
        self._process = subprocess.Popen(
            [settings.vllm_python or sys.executable, "-P", str(_PROGRAM), str(self.folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._words, start_new_session=True,
            env=environment(settings, device, os.environ) | {"TMPDIR": str(self.folder)},
        )  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to: IO[bytes] = self._process.stdin
        self._from: IO[bytes] = self._process.stdout

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, words: Mapping[str, Any]) -> dict[str, Any]:
        self.say(words)
        return self.hear()

    def say(self, words: Mapping[str, Any]) -> None:
        # If it is gone, that is heard.
        with suppress(OSError):
            self._to.write(json.dumps(words).encode() + b"\n")
            self._to.flush()

    def hear(self) -> dict[str, Any]:
        """
        Raises:
            ModelError: it could not do what was asked, or is no more.
        """
        line = self._from.readline()
        if not line:
            raise self._failed("vLLM's process has ended")
        words: dict[str, Any] = json.loads(line)
        if "error" in words:
            raise self._failed(f"vLLM: {words['error']}")
        return words

    def _failed(self, found: str) -> ModelError:
        self._words.seek(0)
        lines = [line for line in self._words.read().decode(errors="replace").splitlines() if line.strip()]
        return ModelError(
            found,
            "its last words:\n" + "\n".join(f"    {line[:300]}" for line in lines[-SHOWN:]),
            "what was answered before is kept, and a run can be resumed; docs/engines.md says what vLLM needs, and "
            "--engine auto does without it",
        )

    def close(self) -> None:
        with suppress(OSError):
            self._to.close()
        # Its input has ended, so it ends what it started, and itself.
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        if self._process.returncode != 0:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._from.close()
        self._words.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def environment(settings: VllmConfig, device: str, ours: Mapping[str, str]) -> dict[str, str]:
    """The variables of the process. What `ours` says of vLLM itself stays, but for what is a setting."""
    its = {
        # The engine within that one process: nothing follows from a clock then, and there is one process to end.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        # What torch compiles is of use to the next process, too.
        "TORCHINDUCTOR_CACHE_DIR": str(Path(tempfile.gettempdir()) / f"torchinductor_{getpass.getuser()}"),
        **ours,
        "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1",
        "VLLM_BATCH_INVARIANT": str(int(settings.vllm_batch_invariant)),
    }  # fmt: skip
    if settings.vllm_python is not None:
        # It says where this Python finds its packages, not that one.
        its.pop("PYTHONPATH", None)
    if settings.vllm_enforce_eager:
        # Else torch still compiles parts of vLLM that are no part of the model.
        its["TORCH_COMPILE_DISABLE"] = "1"
    if device.startswith("cuda:") and settings.vllm_tensor_parallel_size == 1:
        seen = [one for one in ours.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
        number = int(device.removeprefix("cuda:"))
        its["CUDA_VISIBLE_DEVICES"] = seen[number] if number < len(seen) else str(number)
    return its
