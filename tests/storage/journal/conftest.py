from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.storage.journal.driver import Driver, Played, tree
from tests.storage.journal.script import SCRIPT

Tree = dict[str, bytes | None]


@pytest.fixture(scope="session")
def driver() -> Iterator[Driver]:
    with Driver() as opened:
        yield opened


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder in memory where there is one: thousands of syncs are not to wait for a disk."""
    answer_cache = Path("/dev/shm")
    place = Path(tempfile.mkdtemp(prefix="durable-", dir=answer_cache if answer_cache.is_dir() else None))
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="session")
def whole(driver: Driver, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Played, Tree]]:
    """How a script that nothing disturbs is played, and what it leaves."""
    known: dict[str, tuple[Played, Tree]] = {}

    def of(script: Mapping[str, int] = SCRIPT) -> tuple[Played, Tree]:
        if str(script) not in known:
            folder = tmp_path_factory.mktemp("whole") / "run"
            played = driver.play(folder, script=script)
            assert played.code == 0, played.notes
            known[str(script)] = played, tree(folder)
        return known[str(script)]

    return of


@pytest.fixture
def run(whole: Callable[..., tuple[Played, Tree]], room: Path) -> Path:
    """A finished one."""
    folder = room / "run"
    for path, data in sorted(whole()[1].items()):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).mkdir() if data is None else (folder / path).write_bytes(data)
    return folder
