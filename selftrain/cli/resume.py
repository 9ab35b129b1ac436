"""`selftrain resume` and `selftrain check`: a run that was stopped, killed or damaged."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from selftrain.cli.commands import command_of
from selftrain.cli.sections import CheckConfig, ResumeConfig
from selftrain.config import Resolved, parse
from selftrain.errors import SettingsError
from selftrain.loop.resume_guard import MAY_CHANGE
from selftrain.storage.derived_files import FREE
from selftrain.storage.journal import Store, check, repair


def run(settings: Resolved) -> int:
    """`selftrain resume`: the command that began the run, with its settings, over the same folder."""
    asked = settings[ResumeConfig]
    return resume(asked.run, as_flags(asked.set, _refuse), as_json=asked.json)


def resume(run: str, changes: Sequence[str], *, as_json: bool) -> int:
    """
    Args:
        changes: flags that override the settings of the run.
    """
    facts = Store.read(run).journal[0].facts
    command = command_of(facts, run)
    words = ["--config", str(settings_file(run, facts)), "--output_dir", run, *changes]
    if as_json:
        words.append("--json")
    module, _, function = command.handler.partition(":")
    return int(getattr(importlib.import_module(module), function)(parse(command, words), resume=True))


def settings_file(run: str, facts: Mapping[str, Any]) -> Path:
    """The settings of a run, written anew from its `facts` where it was killed before that, or has lost them since."""
    place = Path(run) / "settings.yaml"
    if not place.exists():
        place.write_text(yaml.safe_dump(facts["settings"], sort_keys=False))
    return place


def as_flags(given: Sequence[str], refuse: Callable[[str], None]) -> list[str]:
    """--set max_hours=3 as the flag it stands for.

    Args:
        refuse: raises SettingsError for the name of a setting that may not change.
    """
    words = []
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise SettingsError(f"--set {one!r} has no =", "", "write it as name=value")
        refuse(name)
        words.append(f"--{name}={value}")
    return words


def _refuse(name: str) -> None:
    if name not in MAY_CHANGE:
        raise SettingsError(
            f"{name} may not change in the middle of a run",
            "what was done and what is to come would not be one run",
            f"These may: {', '.join(MAY_CHANGE)}. For anything else begin another run",
        )


def run_check(settings: Resolved) -> int:
    """Exit code 0 where all is well (or was mended), 65 where something is damaged."""
    asked = settings[CheckConfig]
    found = (repair if asked.repair else check)(Path(asked.run), FREE)
    if asked.json:
        print(json.dumps([asdict(one) for one in found]))
    elif not found:
        print(f"{asked.run}: every file is what it was")
    else:
        for one in found:
            print(f"{'DAMAGED' if one.damage else 'note   '} {one.file} {one.wrong}; {one.mend}")
    return 0 if asked.repair or not any(one.damage for one in found) else 65
