"""vLLM's process, seen from this one: started, called, ended. Nothing of it outlives the run, however that ends."""

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
#: Lines of its output that an error shows.
SHOWN_LINES = 15
#: Seconds it is given to end by itself.
PATIENCE = 20.0


class VllmProcess:
    """
    Args:
        device: as in the settings; a numbered GPU is the only one it sees.
    """

    def __init__(self, config: VllmConfig, device: str) -> None:
        #: For all that it leaves on the disk. The process removes it if the run is killed.
        self.folder = Path(tempfile.mkdtemp(prefix="selftrain-vllm-"))
        #: Where it finds new weights.
        self.weights = self.folder / "weights"
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        # A process group of its own: it is ended as a whole with vLLM's workers, and Ctrl-C in the terminal is for the
        # run.
        self._process = subprocess.Popen(
            [config.vllm_python or sys.executable, "-P", str(_PROGRAM), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._output,
            start_new_session=True,
            env=environment(config, device, os.environ) | {"TMPDIR": str(self.folder)},
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin: IO[bytes] = self._process.stdin
        self._stdout: IO[bytes] = self._process.stdout

    @property
    def pid(self) -> int:
        return self._process.pid

    def call(self, message: Mapping[str, Any]) -> dict[str, Any]:
        self.send(message)
        return self.receive()

    def send(self, message: Mapping[str, Any]) -> None:
        # Whether it still runs shows in `receive`.
        with suppress(OSError):
            self._stdin.write(json.dumps(message).encode() + b"\n")
            self._stdin.flush()

    def receive(self) -> dict[str, Any]:
        """
        Raises:
            ModelError: the process failed, or has ended.
        """
        line = self._stdout.readline()
        if not line:
            raise self._failed("vLLM's process has ended")
        message: dict[str, Any] = json.loads(line)
        if "error" in message:
            raise self._failed(f"vLLM: {message['error']}")
        return message

    def _failed(self, found: str) -> ModelError:
        self._output.seek(0)
        lines = [line for line in self._output.read().decode(errors="replace").splitlines() if line.strip()]
        return ModelError(
            found,
            "its last output:\n" + "\n".join(f"    {line[:300]}" for line in lines[-SHOWN_LINES:]),
            "what was generated before is kept, and a run can be resumed; docs/engines.md says what vLLM needs, and "
            "--engine auto does without it",
        )

    def close(self) -> None:
        with suppress(OSError):
            self._stdin.close()
        # At the end of its input the process ends what it started, and itself.
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        if self._process.returncode != 0:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._stdout.close()
        self._output.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def environment(config: VllmConfig, device: str, inherited: Mapping[str, str]) -> dict[str, str]:
    """The variables of the process. Variables of vLLM are inherited, but for those that are settings."""
    found = {
        # The engine within that one process: scheduling does not depend on a clock, and there is one process to end.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        # What torch compiles is of use to the next process.
        "TORCHINDUCTOR_CACHE_DIR": str(Path(tempfile.gettempdir()) / f"torchinductor_{getpass.getuser()}"),
        **inherited,
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_BATCH_INVARIANT": str(int(config.vllm_batch_invariant)),
    }
    if config.vllm_python is not None:
        # It names the packages of this Python.
        found.pop("PYTHONPATH", None)
    if config.vllm_enforce_eager:
        # Else torch still compiles parts of vLLM outside the model.
        found["TORCH_COMPILE_DISABLE"] = "1"
    if device.startswith("cuda:") and config.vllm_tensor_parallel_size == 1:
        visible = [gpu for gpu in inherited.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]
        number = int(device.removeprefix("cuda:"))
        found["CUDA_VISIBLE_DEVICES"] = visible[number] if number < len(visible) else str(number)
    return found
