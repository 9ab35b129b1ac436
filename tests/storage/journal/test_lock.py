"""One writer at a time, and none for ever."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from selftrain.storage.journal import LockedError, Reader, Store
from selftrain.storage.journal.lines import encode

_HOLDS = """
import os, sys, time
from selftrain.storage.journal import Store
with Store.create(sys.argv[1], {}) as store:
    if len(sys.argv) > 2 and os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(60)
    store.log("a").append("item", [])
    print("holds", flush=True)
    time.sleep(60)
"""


@contextmanager
def holder(folder: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", _HOLDS, str(folder), *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def word(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_a_second_process_is_told_the_holder_and_a_dead_holder_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with holder(folder) as process:
        assert word(process) == "holds"
        with pytest.raises(LockedError, match=f"process {process.pid} on .*, since 2.* writes this run") as refused:
            Store.open(folder)
        assert refused.value.exit_code == 75
        assert len(Reader.read(folder).journal) == 1  # reading is free
        process.kill()
        process.wait()
        with Store.open(folder) as store:
            assert list(store.log("a").rows) == ["item"]
    assert (folder / "LOCK").read_bytes() == b""


def test_an_orphan_of_a_dead_holder_does_not_hold(tmp_path: Path) -> None:
    with holder(tmp_path / "run", "fork") as process:
        words = {word(process), word(process)}
        (orphan,) = (int(one) for one in words - {"holds"})
        process.kill()
        process.wait()
        os.kill(orphan, 0)  # alive
        Store.open(tmp_path / "run").close()
        os.kill(orphan, signal.SIGKILL)


def test_a_process_cannot_open_a_run_twice(tmp_path: Path) -> None:
    with Store.create(tmp_path, {}), pytest.raises(LockedError, match=f"process {os.getpid()} "):
        Store.open(tmp_path)


@pytest.fixture
def no_flock(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_without_flock_there_is_a_lease(tmp_path: Path, no_flock: None) -> None:
    Store.create(tmp_path, {})
    with pytest.raises(LockedError, match=f"process {os.getpid()} .* holds a lease on this run for another (59|60) s"):
        Store.open(tmp_path)
    old = time.time() - 61
    os.utime(tmp_path / "LOCK", (old, old))
    Store.open(tmp_path).close()


def test_a_holder_whose_lock_was_taken_writes_no_more(tmp_path: Path) -> None:
    """As after the machine was suspended for longer than the lease."""
    store = Store.create(tmp_path, {})
    store.commit("a")
    (tmp_path / "LOCK").write_bytes(taken := encode({"pid": 7, "host": "another", "since": "noon"}))
    with pytest.raises(LockedError, match="process 7 on another, since noon, took this run over"):
        store.commit("b")
    store.close()
    assert (tmp_path / "LOCK").read_bytes() == taken, "it is not ours to release"
    assert [entry.step for entry in Reader.read(tmp_path).journal] == ["", "a"]


@pytest.mark.parametrize("elsewhere", [{"host": "another"}, {"boot": "another"}])
def test_a_holder_on_another_machine_has_its_lease(tmp_path: Path, elsewhere: dict[str, str]) -> None:
    """Locks may not reach across machines, so that ours being granted shows nothing."""
    Store.create(tmp_path, {}).close()
    machine = {"host": os.uname().nodename, "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip()}
    (tmp_path / "LOCK").write_bytes(encode({"pid": 7, **machine, **elsewhere, "since": "noon"}))
    with pytest.raises(LockedError, match=r"process 7 on .*, since noon, holds a lease"):
        Store.open(tmp_path)
    os.utime(tmp_path / "LOCK", (0, 0))
    Store.open(tmp_path).close()


def test_a_lease_is_renewed_while_its_holder_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selftrain.storage.journal.lock.LEASE_SECONDS", 0.2)
    with Store.create(tmp_path, {}):
        os.utime(tmp_path / "LOCK", (0, 0))
        deadline = time.monotonic() + 5
        while not (tmp_path / "LOCK").stat().st_mtime and time.monotonic() < deadline:
            time.sleep(0.02)
        assert time.time() - (tmp_path / "LOCK").stat().st_mtime < 60


def test_a_lock_file_that_a_kill_cut_short_is_free(tmp_path: Path) -> None:
    Store.create(tmp_path, {}).close()
    (tmp_path / "LOCK").write_bytes(encode({"pid": 7, "host": "another"})[:20])
    Store.open(tmp_path).close()
