"""A server that is started holds the weights it should, says why it fails, and never outlives its run."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path

import pytest

from selftrain.engines.server.config import ServerConfig
from selftrain.engines.server.engine import ServerEngine
from selftrain.engines.server.managed_server import ManagedServer
from selftrain.errors import RunError
from selftrain.models.loading import LoadedModel
from selftrain.types import Prompt, SamplingParams
from tests.conftest import engine_of, generate

#: Notes what it was given, and has a worker that ignores SIGTERM.
PROGRAM = """\
import pathlib, subprocess, sys, time
ignoring = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)'
worker = subprocess.Popen([sys.executable, '-c', ignoring])
model, port, note = sys.argv[1:]
pathlib.Path(note).write_text(' '.join([str(worker.pid), port, (pathlib.Path(model) / 'weights').read_text()]))
time.sleep(600)
"""


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(what, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def told(note: Path) -> tuple[int, str, str]:
    wait_until(lambda: note.exists() and len(note.read_text().split()) == 3)
    worker, port, weights = note.read_text().split()
    return int(worker), port, weights


def command(program: str, *more: str) -> str:
    return f"{sys.executable} -c {shlex.quote(program)} {{model}} {{port}} {' '.join(more)}"


def save(text: str):
    return lambda folder: (folder / "weights").write_text(text)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)


def folders(place: Path) -> list[Path]:
    return [*place.glob("selftrain-server-*")]


@pytest.mark.slow
def test_weights_are_saved_when_asked_for_and_go_with_their_server(tmp_path: Path) -> None:
    note = tmp_path / "note"
    server = ManagedServer(command(PROGRAM, str(note)), save("old"))
    assert folders(tmp_path) == []
    url = server.start()
    worker, port, weights = told(note)
    assert (url, weights) == (f"http://127.0.0.1:{port}/v1", "old") and server.failure() == ""
    note.unlink()
    server.stop()
    wait_until(lambda: not is_there(worker))
    server.start()  # the same weights
    worker, _, weights = told(note)
    assert weights == "old" and len(folders(tmp_path)) == 1
    note.unlink()
    server.update_weights(save("new"))
    assert not is_there(worker) and folders(tmp_path) == []
    server.start()
    worker, _, weights = told(note)
    assert weights == "new"
    server.close()
    assert not is_there(worker) and folders(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_leaves_no_server_and_no_folder(tmp_path: Path, how: signal.Signals) -> None:
    note = tmp_path / "note"
    script = textwrap.dedent(f"""\
        import time
        from selftrain.engines.server.managed_server import ManagedServer
        ManagedServer({command(PROGRAM, str(note))!r}, lambda folder: (folder / "weights").write_text("old")).start()
        time.sleep(600)
    """)
    process = subprocess.Popen([sys.executable, "-c", script])
    worker, _, _ = told(note)
    assert is_there(worker) and len(folders(tmp_path)) == 1
    process.send_signal(how)
    process.wait()
    wait_until(lambda: not is_there(worker) and folders(tmp_path) == [])


def fails(llama: LoadedModel, program: str, **settings: float) -> str:
    server = ServerConfig(server_command=command(program), max_retries=1, **settings)
    with (
        closing(ServerEngine(engine_of(llama), server, save("old"))) as engine,
        pytest.raises(RunError) as error,
    ):
        generate(engine, [Prompt("p", "Why?")], 1, SamplingParams(0.0, max_completion_length=4))
    assert error.value.why and error.value.do
    return str(error.value)


def test_a_server_that_ends_says_why(llama: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    told = fails(llama, "import os; print('key:', os.environ['OPENAI_API_KEY']); raise SystemExit('no GPU here')")
    assert "ended with exit code 1; its last output:" in told and "no GPU here" in told
    assert "key: ***" in told and "secret" not in told
    assert folders(tmp_path) == []


def test_the_wait_for_a_server_that_never_replies_ends(llama: LoadedModel, tmp_path: Path) -> None:
    told = fails(llama, "import time; print('still compiling', flush=True); time.sleep(600)", server_start_timeout=1.0)
    assert "did not reply within 1 s" in told and "still compiling" in told
    assert folders(tmp_path) == []


def test_weights_that_cannot_be_written_are_a_clear_error(llama: LoadedModel, tmp_path: Path) -> None:
    def full(folder: Path) -> None:
        raise OSError(28, os.strerror(28))

    server = ManagedServer(command(PROGRAM, "nowhere"), full)
    with pytest.raises(RunError, match=r"No space left on device[\s\S]*TMPDIR"):
        server.start()
    assert folders(tmp_path) == []
