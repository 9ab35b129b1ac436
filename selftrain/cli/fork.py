"""`selftrain fork`: another run from a round of a run, with other settings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import yaml

from selftrain.cli.commands import command_of
from selftrain.cli.resume import as_flags, resume, settings_file
from selftrain.cli.sections import ForkConfig
from selftrain.config import Command, Resolved, parse, settings_of
from selftrain.errors import RunError, SettingsError
from selftrain.loop.resume_guard import MAY_CHANGE
from selftrain.storage import Record, shareable_rounds
from selftrain.storage.journal import Reader

#: Sections of settings that say what is done from now on, and not on what or how it is measured.
_FREE_SECTIONS = ("method", "training", "monitor", "budget")
#: Among them, but the split of the problems hangs on it.
_FIXED = "validation_size"


def run(settings: Resolved) -> int:
    asked = settings[ForkConfig]
    source = Reader.read(asked.run)
    facts = source.journal[0].facts
    command = command_of(facts, asked.run)
    number = _round(source, asked)
    words = ["--config", str(settings_file(asked.run, facts)), "--output_dir", asked.output_dir]
    changed = parse(command, [*words, *as_flags(asked.set, partial(_refuse, facts["settings"], command))])
    told = {**facts, "settings": yaml.safe_load(changed.to_yaml()), "forked_from": [asked.run, number]}
    with Record.create(asked.output_dir, told) as record:
        record.share_rounds(source, number)
    return resume(asked.output_dir, [], as_json=asked.json)


def _round(source: Reader, asked: ForkConfig) -> int:
    found = shareable_rounds(source)
    if (asked.round is not None and asked.round not in found) or not found:
        raise RunError(
            f"{asked.run} cannot be forked at " + (f"round {asked.round}" if asked.round is not None else "any round"),
            "a run is gone on with from a finished round whose weights are saved"
            + (f"; there are {', '.join(map(str, found))}" if found else ", and there is none"),
            "give one of these as --round" if found else "begin another run",
        )
    return found[-1] if asked.round is None else asked.round


def _refuse(then: Mapping[str, Any], command: Command, name: str) -> None:
    """
    Raises:
        SettingsError: what was done in the finished rounds would not go with what is to come.
    """
    sections = (section for title, section in command.sections.items() if title in _FREE_SECTIONS)
    free = {one.name for section in sections for one in settings_of(section)} - {_FIXED} | {*MAY_CHANGE}
    if name in then and name not in free:
        raise SettingsError(
            f"{name} may not change in a fork",
            "the finished rounds are shared, and were done and measured on other problems, prompts or models",
            "begin another run",
        )
