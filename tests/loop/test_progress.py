"""Lines are shown, and are in the log of the run, whatever is on the other end."""

from __future__ import annotations

import io
import os
import re
import time
from contextlib import suppress
from pathlib import Path

import pytest

from selftrain.loop.progress import MAX_WAITING, Progress

FULL = Path("/dev/full")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def logged(path: Path) -> list[str]:
    """The lines of a log without their times, each of which must be there."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ( |$)", line) for line in lines), lines
    return [line[21:] for line in lines]


def test_all_that_is_said_is_logged_also_what_was_said_before(tmp_path: Path) -> None:
    progress = Progress(stream=io.StringIO())
    progress.say("before")
    with progress.log_to(tmp_path / "log.txt"):
        assert logged(tmp_path / "log.txt") == ["before"]
        progress.say("two\nlines")
        # On disk at once, not when the run ends.
        assert logged(tmp_path / "log.txt") == ["before", "two", "lines"]
    progress.say("after")
    assert logged(tmp_path / "log.txt") == ["before", "two", "lines"]
    assert progress.stream.getvalue() == "before\ntwo\nlines\nafter\n"


def test_a_log_is_added_to_and_never_written_over(tmp_path: Path) -> None:
    for line in ("first", "second"):
        progress = Progress(quiet=True)
        with progress.log_to(tmp_path / "log.txt"):
            progress.say(line)
    assert logged(tmp_path / "log.txt") == ["first", "second"]


@pytest.mark.parametrize("quiet", [True, False])
@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_phases_are_logged_beside_a_bar_and_in_silence(tmp_path: Path, quiet: bool, stream: type[io.StringIO]) -> None:
    progress = Progress(quiet=quiet, stream=stream(), line_every=0.0)
    with progress.log_to(tmp_path / "log.txt"), progress.phase("sampling", 8, "answers") as phase:
        phase.advance(4, "loss 0.5")
    during, after = logged(tmp_path / "log.txt")
    assert re.fullmatch(r"sampling: 4 of 8 answers, [\d,]+ answers/s loss 0.5, \d+ s left", during)
    assert re.fullmatch(r"sampling: 4 answers in \d+\.\d s", after)
    assert bool(progress.stream.getvalue()) is not quiet


def test_what_was_read_back_is_no_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0] * 2 + [100.0] * 100)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    progress = Progress(quiet=True, line_every=0.0)
    with progress.log_to(tmp_path / "log.txt"), progress.phase("sampling", 320, "answers") as phase:
        phase.advance(100, fresh=False)
        phase.advance(20)
    back, now, after = logged(tmp_path / "log.txt")
    assert back == "sampling: 100 of 320 answers"
    assert now == "sampling: 120 of 320 answers, 5.0 s/answer, 1000 s left"
    assert after == "sampling: 120 answers in 100.0 s, 100 of them read back"


@pytest.mark.parametrize(
    ("done", "speed"), [(2000, "20 steps/s"), (250, "2.5 steps/s"), (100, "1.0 steps/s"), (25, "4.0 s/step")]
)
def test_slow_work_is_told_in_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: int, speed: str) -> None:
    clock = iter([0.0] * 2 + [100.0] * 100)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    progress = Progress(quiet=True, line_every=0.0)
    with progress.log_to(tmp_path / "log.txt"), progress.phase("training", 2000, "steps") as phase:
        phase.advance(done)
    assert f" steps, {speed}, " in logged(tmp_path / "log.txt")[0]


def test_what_waits_for_a_log_is_bounded(tmp_path: Path) -> None:
    progress = Progress(quiet=True)
    for number in range(MAX_WAITING + 5):
        progress.say(f"line {number}")
    with progress.log_to(tmp_path / "log.txt"):
        assert logged(tmp_path / "log.txt") == [f"line {number + 5}" for number in range(MAX_WAITING)]


def test_the_log_says_why_a_run_ended(tmp_path: Path) -> None:
    progress = Progress(stream=io.StringIO())
    with suppress(KeyboardInterrupt), progress.log_to(tmp_path / "log.txt"):
        raise KeyboardInterrupt
    assert logged(tmp_path / "log.txt") == ["ended by KeyboardInterrupt: "]
    assert progress.stream.getvalue() == ""


def test_a_text_that_cannot_be_encoded_is_logged(tmp_path: Path) -> None:
    progress = Progress(quiet=True)
    with progress.log_to(tmp_path / "log.txt"):
        progress.say("half a pair: \ud800")
    assert logged(tmp_path / "log.txt") == [r"half a pair: \ud800"]


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_a_full_disk_ends_the_log_and_not_the_run() -> None:
    progress = Progress(stream=io.StringIO())
    with progress.log_to(FULL):
        progress.say("one")
        progress.say("two")
    notice, *rest = progress.stream.getvalue().splitlines()
    assert "log.txt ends here" in notice and "No space left" in notice and rest == ["one", "two"]


def test_a_log_that_cannot_be_opened_is_said_once(tmp_path: Path) -> None:
    progress = Progress(stream=io.StringIO())
    with progress.log_to(tmp_path / "nowhere" / "log.txt"):
        progress.say("one")
        progress.say("two")
    notice, *rest = progress.stream.getvalue().splitlines()
    assert "log.txt ends here" in notice and "No such file" in notice and rest == ["one", "two"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux")
def test_a_log_that_was_closed_by_others_is_no_error(tmp_path: Path) -> None:
    progress, path = Progress(stream=io.StringIO()), tmp_path / "log.txt"
    with progress.log_to(path):
        (descriptor,) = (fd for fd in Path("/proc/self/fd").iterdir() if fd.resolve() == path)
        os.close(int(descriptor.name))
        progress.say("one")
    assert progress.stream.getvalue().count("log.txt ends here") == 1 and progress.stream.getvalue().endswith("one\n")
