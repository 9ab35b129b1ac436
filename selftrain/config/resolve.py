"""From defaults, profiles, files and flags to built sections; a later source overrides an earlier one."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Self, TypeVar

from selftrain.config.fields import settings_in, settings_of
from selftrain.config.flags import make_parser, read_flags
from selftrain.config.given import Given, Origin
from selftrain.config.values import plain_data, yaml_text
from selftrain.config.yaml_file import read_file
from selftrain.errors import SettingsError

S = TypeVar("S")
#: Section classes by name. Their settings share one flat name space.
Sections = Mapping[str, type[Any]]
#: Other defaults by the value of the setting `profile`, as flat names: {"faithful": {"deduplicate": "off"}}.
Profiles = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True)
class Resolved:
    """Built sections by name, and the origin of every setting. `resolved[RestEM]` is a typed look-up."""

    sections: Mapping[str, Any]
    origins: Mapping[str, Origin]

    @classmethod
    def of(cls, sections: Mapping[str, Any]) -> Self:
        """Sections that were built in Python; what differs from the default was given there."""
        origins = {}
        for built in sections.values():
            for target in settings_of(type(built)):
                is_default = getattr(built, target.name) == target.default
                origins[target.name] = Origin("default", target.source) if is_default else Origin("python", "")
        return cls(sections, origins)

    def __getitem__(self, section: type[S]) -> S:
        for built in self.sections.values():
            if isinstance(built, section):
                return built
        raise KeyError(section)

    def with_chosen(self, values: Mapping[str, Any], reasons: Mapping[str, str]) -> Self:
        """With values in place of 'auto'; those of settings that are not here are left out."""
        sections, origins = {}, dict(self.origins)
        for name, built in self.sections.items():
            own = {t.name: values[t.name] for t in settings_of(type(built)) if t.name in values}
            sections[name] = replace(built, **own) if own else built
            origins |= {setting: Origin("auto", reasons[setting]) for setting in own}
        return type(self)(sections, origins)

    def without(self, names: Collection[str]) -> Self:
        """Without the sections of these names, if they are here."""
        dropped = {t.name for name in names if name in self.sections for t in settings_of(type(self.sections[name]))}
        return type(self)(
            {name: built for name, built in self.sections.items() if name not in names},
            {name: origin for name, origin in self.origins.items() if name not in dropped},
        )

    @property
    def resumable(self) -> set[str]:
        """Names of the settings that may change when a run is resumed."""
        return {
            target.name for built in self.sections.values() for target in settings_of(type(built)) if target.resumable
        }

    def to_dict(self) -> dict[str, Any]:
        """Every setting by name, flat, in JSON types."""
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


def parse(
    sections: Sections,
    argv: Sequence[str],
    *,
    prog: str,
    summary: str = "",
    profiles: Profiles | None = None,
    recorded: Mapping[str, Given] | None = None,
    examples: Sequence[str] = (),
    stand_ins: Mapping[str, Given] | None = None,
) -> Resolved:
    """The settings in `argv` and in the files it names. `--help` prints and raises SystemExit, as argparse does.

    Args:
        examples: commands that `--help` shows; a command that has some shows its essential settings alone, and all by
            `--help all`.
        recorded: settings of an earlier run, which files and `argv` override.
        stand_ins: values of required settings that are not given.

    Raises:
        SettingsError: an unknown, missing or unsuitable setting.
    """
    whole = any(pair in (("-h", "all"), ("--help", "all")) for pair in pairwise(argv))
    parser = make_parser(prog, summary, sections, profiles or {}, examples=examples, brief=bool(examples) and not whole)
    files, flags = read_flags(parser, sections, argv)
    given = {**(stand_ins or {}), **(recorded or {})}
    for path in files:
        given |= read_file(path, sections)
    return _build(sections, given | flags, profiles or {})


def from_yaml(path: str | Path, sections: Sections, profiles: Profiles | None = None) -> Resolved:
    """The settings in a YAML file, for Python callers. Raises SettingsError as `parse` does."""
    return _build(sections, read_file(path, sections), profiles or {})


def _build(sections: Sections, given: Mapping[str, Given], profiles: Profiles) -> Resolved:
    targets = settings_in(sections)
    # What is given by hand overrides the profile.
    given = {**_profile(targets, given, profiles), **given}
    values = {name: targets[name].read(found.value, str(found.origin)) for name, found in given.items()}
    for name, value in values.items():
        if targets[name].flag_only and given[name].origin.kind == "file" and value != targets[name].default:
            raise SettingsError(
                f"{name} is {value!r} ({given[name].origin})",
                "it is not accepted from a file, so that nobody runs a file without knowing",
                f"give it on the command line: --{name} {value}",
            )
    missing = [target for name, target in targets.items() if target.required and name not in given]
    if missing:
        flags = " ".join(f"{'' if target.positional else f'--{target.name} '}{target.example}" for target in missing)
        raise SettingsError(f"{', '.join(target.name for target in missing)} must be given", do=f"for example: {flags}")
    origins = {
        name: given[name].origin if name in given else Origin("default", target.source)
        for name, target in targets.items()
    }
    return Resolved({name: _build_section(section, values, origins) for name, section in sections.items()}, origins)


def _profile(targets: Mapping[str, Any], given: Mapping[str, Given], profiles: Profiles) -> dict[str, Given]:
    """The defaults of the chosen profile, where there are profiles."""
    if "profile" not in targets or not profiles:
        return {}
    chosen = targets["profile"].default
    if "profile" in given:
        chosen = targets["profile"].read(given["profile"].value, str(given["profile"].origin))
    if chosen not in profiles:
        raise SettingsError(f"there is no profile {chosen!r} here", do=f"choose among {', '.join(profiles)}")
    return {name: Given(value, Origin("profile", chosen)) for name, value in profiles[chosen].items()}


def _build_section(section: type[Any], values: Mapping[str, Any], origins: Mapping[str, Origin]) -> Any:
    chosen = {target.name: values[target.name] for target in settings_of(section) if target.name in values}
    try:
        return section(**chosen)
    except (SettingsError, ValueError) as error:
        # The section knows what is wrong, but not where it was written.
        suspects = [name for name in chosen if re.search(rf"\b{name}\b", str(error))] or list(chosen)
        places = "; ".join(f"{name} = {chosen[name]!r} from {origins[name]}" for name in suspects)
        found, *rest = (error.found, error.why, error.do) if isinstance(error, SettingsError) else (str(error),)
        raise SettingsError(f"{found} ({places})" if places else found, *rest) from error
