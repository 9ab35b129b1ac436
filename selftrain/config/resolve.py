"""From defaults, files and flags to built sections; a later source wins over an earlier one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from selftrain.config.fields import settings_in, settings_of
from selftrain.config.flags import make_parser, read_flags
from selftrain.config.given import Given, Origin
from selftrain.config.values import plain_data, yaml_text
from selftrain.config.yaml_file import read_file
from selftrain.errors import SettingsError

S = TypeVar("S")


@dataclass(frozen=True)
class Command:
    """A name on the command line, the sections whose fields are its settings in one flat name space, and what it does.

    Command("rest-em", "Draw answers, keep the right ones, train.", {"method": RestEM, "learning": Learning},
            "selftrain.running:rest_em")
    """

    name: str
    summary: str
    sections: Mapping[str, type[Any]]
    #: "module:function", imported when called so that --help stays light. It takes the `Resolved` settings and
    #: returns an exit code.
    handler: str
    #: Other defaults by the value of the setting `profile`, as flat names: {"faithful": {"deduplicate": "off"}}.
    profiles: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


@dataclass(frozen=True)
class Resolved:
    """Built sections by name, and the origin of every setting. `resolved[RestEM]` is a typed look-up."""

    sections: Mapping[str, Any]
    origins: Mapping[str, Origin]

    def __getitem__(self, section: type[S]) -> S:
        for built in self.sections.values():
            if isinstance(built, section):
                return built
        raise KeyError(section)

    def to_dict(self) -> dict[str, Any]:
        """Every setting by name, flat, fit for JSON."""
        return {
            target.name: plain_data(getattr(built, target.name))
            for built in self.sections.values()
            for target in settings_of(type(built))
        }

    def to_yaml(self) -> str:
        """A file for --config that gives these settings again, with the origin of each."""
        groups = []
        for name, built in self.sections.items():
            lines = {t.name: f"{t.name}: {yaml_text(getattr(built, t.name))}" for t in settings_of(type(built))}
            width = min(40, max(map(len, lines.values()), default=0))
            entries = [f"{line:<{width}}  # {self.origins[key]}\n" for key, line in lines.items()]
            groups.append(f"# {name}\n{''.join(entries)}")
        return "\n".join(groups)


def parse(command: Command, argv: Sequence[str], prog: str = "selftrain") -> Resolved:
    """The settings of `command` from `argv`. `--help` prints and leaves by SystemExit, as with argparse."""
    parser = make_parser(f"{prog} {command.name}", command.summary, command.sections)
    files, flags = read_flags(parser, command.sections, argv)
    given: dict[str, Given] = {}
    for path in files:
        given |= read_file(path, command.sections)
    return _build(command.sections, given | flags, command.profiles)


def from_yaml(
    path: str | Path, sections: Mapping[str, type[Any]], profiles: Mapping[str, Mapping[str, object]] | None = None
) -> Resolved:
    """The settings in a YAML file, for those who write Python."""
    return _build(sections, read_file(path, sections), profiles or {})


def _build(
    sections: Mapping[str, type[Any]], given: Mapping[str, Given], profiles: Mapping[str, Mapping[str, object]]
) -> Resolved:
    targets = settings_in(sections)
    if "profile" in targets and profiles:
        chosen = targets["profile"].read(given["profile"].value, "profile") if "profile" in given else None
        name = chosen or targets["profile"].default
        if name not in profiles:
            raise SettingsError(
                f"there is no profile {name!r} here", "it would change nothing", f"choose among {', '.join(profiles)}"
            )
        # What is given by hand wins over the profile.
        given = {key: Given(value, Origin("profile", name)) for key, value in profiles[name].items()} | dict(given)
    values = {name: targets[name].read(found.value, str(found.origin)) for name, found in given.items()}
    for name, value in values.items():
        if targets[name].flag_only and given[name].origin.kind == "file" and value != targets[name].default:
            raise SettingsError(
                f"{name} is {value!r} ({given[name].origin})",
                "No file may decide that: a person has to say it each time.",
                f"Give it on the command line: --{name} {value}",
            )
    missing = [target for name, target in targets.items() if target.required and name not in given]
    if missing:
        flags = " ".join(f"{'' if target.positional else f'--{target.name} '}{target.example}" for target in missing)
        raise SettingsError(f"{', '.join(target.name for target in missing)} must be given", do=f"For example: {flags}")
    origins = {
        name: given[name].origin if name in given else Origin("default", target.source)
        for name, target in targets.items()
    }
    return Resolved({name: _build_section(section, values, origins) for name, section in sections.items()}, origins)


def _build_section(section: type[Any], values: Mapping[str, Any], origins: Mapping[str, Origin]) -> Any:
    chosen = {target.name: values[target.name] for target in settings_of(section) if target.name in values}
    try:
        return section(**chosen)
    except (SettingsError, ValueError) as error:
        # The section knows what is wrong, but not where it was written.
        suspects = [name for name in chosen if re.search(rf"\b{name}\b", str(error))] or list(chosen)
        places = "; ".join(f"{name} = {chosen[name]!r} from {origins[name]}" for name in suspects)
        parts = (error.found, error.why, error.do) if isinstance(error, SettingsError) else (str(error), "", "")
        raise SettingsError(f"{parts[0]} ({places})" if places else parts[0], *parts[1:]) from error
