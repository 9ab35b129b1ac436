"""Files of a run that are rewritten from its journal, or are about the machine and the clock."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from selftrain.storage.journal import disk_errors
from selftrain.storage.run_folder import RunFolder

#: Model cards beside weights: they tell of what came after these were saved.
CARDS = "weights/*/README.md"
#: Event files, of runs that are told to write some.
TENSORBOARD = "tensorboard"
#: Models that were given loaded: the folder of their base weights.
GIVEN = "given_models"
#: Not in the journal: rewritten from it, or about the machine and the clock.
UNMANAGED = (
    "settings.yaml", "environment.json", "plan.json", "rounds.jsonl", "timings.jsonl", "log.txt", "report.html", "best",
    "best.json", CARDS, TENSORBOARD, GIVEN,
)  # fmt: skip


class DerivedFiles:
    """Writes them; atomically, but for those that are appended to."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def write_text(self, name: str, text: str) -> None:
        path = self.folder.path / name
        partial = path.with_name(f".{path.name}.partial")
        with disk_errors(path):
            partial.write_text(text, encoding="utf-8")
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(path)
            # The journal's next entry may rely on this file, so its name has to survive a power failure, too.
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def write_json(self, name: str, value: object) -> None:
        self.write_text(name, as_json(value))

    def complete_plan(self, happened: Mapping[str, Any]) -> None:
        """Notes in plan.json, where there is one, what the run has come to: it can be compared with the plan."""
        if plan := self.folder.plan():
            self.write_json("plan.json", {**plan, "happened": happened})

    def happened(self) -> Mapping[str, Any]:
        """What `complete_plan` noted last; empty where nothing can be read."""
        found = self.folder.plan().get("happened")
        return found if isinstance(found, dict) else {}

    def append(self, name: str, lines: Iterable[Mapping[str, Any]]) -> None:
        path = self.folder.path / name
        with disk_errors(path), path.open("a", encoding="utf-8") as file:
            file.write("".join(map(as_line, lines)))

    def point_best(self, decision: Mapping[str, Any], bases: Mapping[str, str]) -> None:
        """Writes best.json and links `best` to the weights of the best round; several models each have a folder in it.

        Args:
            decision: which is the best `round`, and why.
            bases: the base models, by name: folder or hub id.
        """
        folder, round_number = self.folder, decision["round"]
        targets = {n: folder.weights_of(round_number, n) if round_number else Path(base) for n, base in bases.items()}
        paths = {n: str(t.relative_to(folder.path)) if round_number else bases[n] for n, t in targets.items()}
        self.write_json("best.json", {**decision, "weights": paths})
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
            # No symbolic links on this file system; best.json has the same information.
            print(f"best is {', '.join(paths.values())} (a link could not be created)", file=sys.stderr)


def link_or_copy(source: Path, target: Path) -> None:
    """A hard link; a copy where the file system has none, or the two are on different ones."""
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source.resolve(), target)
        except OSError:
            shutil.copyfile(source, target)


def as_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def as_line(value: Mapping[str, Any]) -> str:
    """With `round` and `model` first, the other keys in the journal's order."""
    first = {name: value[name] for name in ("round", "model") if name in value}
    return json.dumps(first | dict(value), ensure_ascii=False) + "\n"
