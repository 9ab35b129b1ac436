"""Plays scripts in processes of their own. `Driver` is the tests' end, the module itself the other."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from selftrain.errors import SelftrainError
from tests.forking import Forking, serve
from tests.storage.journal.faults import Faults
from tests.storage.journal.script import SCRIPT, encode, play, rows_of


@dataclass(frozen=True)
class Played:
    """Played(code=74, notes=["made round-0001/samples 39", ..., "error ..."])"""

    #: Negative where a signal ended it.
    code: int
    notes: list[str]

    @property
    def calls(self) -> list[str]:
        (line,) = (one for one in self.notes if one.startswith("calls "))
        return line.split()[1:]

    @property
    def error(self) -> str:
        return "\n".join(one.removeprefix("error ") for one in self.notes if one.startswith("error "))


class Driver(Forking):
    def __init__(self) -> None:
        super().__init__("tests.storage.journal.driver")
        self._own = TemporaryDirectory()

    def play(self, folder: Path, plan: Mapping[str, Any] | None = None, script: Mapping[str, int] = SCRIPT) -> Played:
        """Start a run, or go on with it, in a process that the plan may kill. Notes of it alone."""
        # Elsewhere: the folder's file system may be full.
        ledger = Path(self._own.name) / "ledger"
        ledger.write_text("")
        order = {"folder": str(folder), "ledger": str(ledger), "plan": plan or {}, "script": dict(script)}
        return Played(self.order(order).code, ledger.read_text().splitlines())

    def __exit__(self, *raised: object) -> None:
        super().__exit__(*raised)
        self._own.cleanup()


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file and folder, hidden or not."""
    return {
        place.relative_to(folder).as_posix(): place.read_bytes() if place.is_file() else None
        for place in folder.rglob("*")
    }


@contextmanager
def _ledger(path: str) -> Iterator[Any]:
    descriptor, write = os.open(path, os.O_WRONLY | os.O_APPEND), os.write
    yield lambda text: write(descriptor, f"{text}\n".encode())


def obey(order: Mapping[str, Any]) -> int:
    """In the child: play, and note how it ended."""
    with _ledger(order["ledger"]) as note:
        faults = Faults(order["plan"], Path(f"{order['folder']}.graveyard"))
        faults.install()
        try:
            play(Path(order["folder"]), order["script"], note)
        except SelftrainError as error:
            for line in str(error).splitlines():
                note(f"error {line}")
            return error.exit_code
        except BaseException:
            note(f"traceback {traceback.format_exc()}")
            return 70
        finally:
            note(f"calls {' '.join(faults.calls)}")
        return 0


def main() -> None:
    encode(rows_of("warm", 1))  # the first call imports pyarrow
    serve(obey)


if __name__ == "__main__":
    main()
