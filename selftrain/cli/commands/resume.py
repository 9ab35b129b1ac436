"""`selftrain resume`: continues a run that was stopped or killed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from selftrain.cli.command import Command, all_commands, command
from selftrain.config import Given, Resolved, config_dataclass, from_record, required, setting, settings_in
from selftrain.config.given import unknown
from selftrain.errors import ModelError, RunError, SettingsError
from selftrain.loop.run_config import MODEL_PLACES


@config_dataclass
class ResumeConfig:
    run: str = required("folder of the run", example="runs/first", positional=True)
    set: tuple[str, ...] = setting(
        (),
        "settings to change, as name=value; only those that cannot change the results may change, and the folder of a "
        "model, where the same files lie in it",
    )
    json: bool = setting(False, "print the result as JSON on standard output")


@command("resume", "continue a run that was stopped or killed", "Train", lambda: {"resume": ResumeConfig})
def run(settings: Resolved) -> int:
    config = settings[ResumeConfig]
    return resume(config.run, config.set, as_json=config.json)


def resume(run: str, changes: Sequence[str], *, as_json: bool) -> int:
    """The command that began the run, with its settings, on the same folder.

    Args:
        changes: settings to change, as name=value.

    Raises:
        SettingsError: a setting may not change.
    """
    facts = facts_of(run)
    began = command_of(facts, run)
    settings = settings_in(began.sections())
    may_change = [name for name, target in settings.items() if target.resumable or name in MODEL_PLACES]

    def check(name: str) -> None:
        if name not in may_change:
            raise SettingsError(
                f"{name} may not change when a run is resumed",
                "the rounds before and after would not be one run",
                f"these may: {', '.join(may_change)}. To change another, begin a new run or fork this one",
            )

    _check_places(facts, [change.partition("=")[0] for change in changes])
    words = ["--output_dir", run, *as_flags(changes, began, check), *(["--json"] if as_json else [])]
    return began.run(began.parse(words, recorded_settings(facts, began, run)), resume=True)


def _check_places(facts: Mapping[str, Any], changed: Sequence[str]) -> None:
    """
    Raises:
        ModelError: a folder of a base model is gone, and no other is given.
    """
    for name in MODEL_PLACES:
        recorded = facts["settings"].get(name, ())
        # A hub id stands for itself among the hashes.
        gone = [
            place
            for place in ([recorded] if isinstance(recorded, str) else recorded)
            if place not in facts["models"].values() and not Path(place).expanduser().exists()
        ]
        if gone and name not in changed:
            raise ModelError(
                f"the base model {gone[0]!r} is not there any more, seen from {Path.cwd()}",
                "the run goes on from it, and from the folder that it was started in where its path is relative",
                f"resume from that folder, or say where it is now: --set {name}=FOLDER",
            )


def facts_of(run: str) -> Mapping[str, Any]:
    """What a run's journal was created with.

    Raises:
        RunError: the folder holds no run, or its journal is damaged.
    """
    from selftrain.storage.journal import Reader

    return Reader.read(run).journal[0].metadata


def command_of(facts: Mapping[str, Any], run: str) -> Command:
    """The command that began a run.

    Raises:
        RunError: none that can be resumed.
    """
    found = all_commands().get(facts.get("command", ""))
    if found is None or not found.resumable:
        raise RunError(
            f"{run} was not begun by a command that can be resumed",
            "an evaluation has no state to resume from; a run begun in Python has its model and data from the program",
            "repeat the evaluation; in Python: SelfTrainer(...).train(resume=True) with the same arguments",
        )
    return found


def recorded_settings(facts: Mapping[str, Any], began: Command, run: str) -> dict[str, Given]:
    """The settings that a run began with. Of the journal, not of settings.yaml, which may be missing or edited."""
    return from_record(facts["settings"], facts.get("origins", {}), settings_in(began.sections()), f"{run}/journal")


def as_flags(changes: Sequence[str], began: Command, check: Callable[[str], None]) -> list[str]:
    """--set max_hours=3 as the flag it stands for.

    Args:
        began: the command that began the run.
        check: raises SettingsError for the name of a setting that may not change.

    Raises:
        SettingsError: there is no such setting, or it may not change.
    """
    words, settings = [], settings_in(began.sections())
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals:
            raise SettingsError(f"--set {change!r} has no =", do="write it as name=value")
        if name not in settings:
            see = f"see selftrain {began.name} --help all"
            raise unknown(f"{name} is not a setting of {began.name}", name, settings, otherwise=see)
        check(name)
        words.append(f"--{name}={value}")
    return words
