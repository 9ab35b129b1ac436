"""Files of a run that say again what its journal says, or tell of the machine and the clock."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selftrain.errors import RunError
from selftrain.storage.journal import disk_error
from selftrain.storage.run_folder import RunFolder

FREE = (
    "settings.yaml", "environment.json", "rounds.jsonl", "timings.jsonl", "log.txt", "report.html", "best", "best.json",
)  # fmt: skip


class DerivedFiles:
    """Writes them. Each but the growing ones appears whole or not at all."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def write_text(self, name: str, text: str) -> None:
        path = self.folder.path / name
        partial = path.with_name(f".{name}.partial")
        with disk_errors(path):
            partial.write_text(text, encoding="utf-8")
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(path)
            # The name outlasts a loss of power as well: what the journal says next may rely on it.
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def write_json(self, name: str, value: object) -> None:
        self.write_text(name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def append(self, name: str, lines: Iterable[Mapping[str, Any]]) -> None:
        path = self.folder.path / name
        with disk_errors(path), path.open("a", encoding="utf-8") as file:
            file.write("".join(map(as_line, lines)))

    def point_best(self, round_number: int, bases: Mapping[str, str]) -> None:
        """Says which round is the best and links `best` to its weights; several models each have a folder in it."""
        folder = self.folder
        targets = {n: folder.weights_of(round_number, n) if round_number else Path(base) for n, base in bases.items()}
        told = {n: str(t.relative_to(folder.path)) if round_number else bases[n] for n, t in targets.items()}
        self.write_json("best.json", {"round": round_number, "weights": told})
        best = folder.path / "best"
        try:
            if best.is_dir() and not best.is_symlink():
                shutil.rmtree(best)
            best.unlink(missing_ok=True)
            if len(targets) > 1:
                best.mkdir()
            for name, target in targets.items():
                if target.is_dir():
                    link = best / name if len(targets) > 1 else best
                    link.symlink_to(os.path.relpath(target, link.parent) if round_number else target.resolve())
        except OSError:
            # A file system without links; best.json says the same.
            print(f"best is {', '.join(told.values())} (no link could be made)", file=sys.stderr)


def link_or_copy(source: Path, target: Path) -> None:
    """One file under two names; two files where the file system has no links, or the names are on two of them."""
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source.resolve(), target)
        except OSError:
            shutil.copyfile(source, target)


def as_line(value: Mapping[str, Any]) -> str:
    """What tells a line from the others comes first; the rest is in the journal's order."""
    first = {name: value[name] for name in ("round", "model") if name in value}
    return json.dumps(first | dict(value), ensure_ascii=False) + "\n"


@contextmanager
def disk_errors(path: Path, *more: type[Exception]) -> Iterator[None]:
    """Whatever writes a file by itself (a library) fails as the store does.

    Raises:
        RunError: exit code 74.
    """
    try:
        yield
    except OSError as error:
        raise disk_error(error, path) from error
    except more as error:
        raise RunError(
            f"cannot write {path}: {error}", "the run stops here; everything before it is intact", ""
        ) from error
