"""A setting is a dataclass field that says what it means and where its default comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeVar, cast, get_type_hints

from selftrain.config.values import convert, spell, yaml_text
from selftrain.errors import SettingsError

T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """What is known of one field of a section.

    Setting("num_generations", int, 32, "answers drawn for each problem", source="ReST-EM, section 4")
    """

    name: str
    type: Any
    default: Any
    help: str = ""
    source: str = "ours"
    example: str = ""
    positional: bool = False
    #: Nobody should get it from a file without knowing: a file may only say its default.
    flag_only: bool = False

    @property
    def required(self) -> bool:
        return self.default is MISSING

    def describe(self) -> str:
        """The help text, with the default and its source."""
        if self.required:
            return f"{self.help}. Required, e.g. {self.example}"
        return f"{self.help}. Default: {yaml_text(self.default)} ({self.source})"


def setting(default: T, help: str, *, source: str = "ours", positional: bool = False, flag_only: bool = False) -> T:
    """A field with a default.

    `help` is a phrase without a full stop. `source` says who chose the default: a paper and its section, another
    library, or us. A `positional` setting is given on the command line without a flag, a `flag_only`
    one never by a file.
    """
    metadata = {"help": help, "source": source, "positional": positional, "flag_only": flag_only}
    if isinstance(default, list):
        return cast(T, field(default_factory=default.copy, metadata=metadata))
    return field(default=default, metadata=metadata)


def required(help: str, *, example: str, positional: bool = False) -> Any:
    """A field that has to be given; `example` is shown to those who did not."""
    return field(metadata={"help": help, "example": example, "positional": positional})


def settings_of(section: type[Any]) -> tuple[Setting, ...]:
    """The settings of one section, in the order of its fields."""
    hints = get_type_hints(section)
    return tuple(
        Setting(f.name, hints[f.name], f.default if f.default_factory is MISSING else f.default_factory(), **f.metadata)
        for f in fields(section)
    )


def settings_in(sections: Mapping[str, type[Any]]) -> dict[str, Setting]:
    """The settings of all sections by name: one flat name space."""
    return {target.name: target for section in sections.values() for target in settings_of(section)}


def fit(value: object, target: Setting, place: str) -> Any:
    """`value` as a value of `target`, or an error that says what was found at `place`."""
    try:
        return convert(value, target.type)
    except (ValueError, OverflowError):
        raise SettingsError(
            f"{target.name} is {value!r:.80} ({place})",
            f"Expected {spell(target.type)}.",
            f"For example: {target.example}" if target.required else f"The default is {yaml_text(target.default)}.",
        ) from None


def check_types(instance: Any) -> None:
    """For `__post_init__`: holds Python callers to the rules that files and flags obey.

    A value that fits but has another form (a str for a Path, a list for a tuple) is brought into form.
    """
    for target in settings_of(type(instance)):
        value = fit(getattr(instance, target.name), target, type(instance).__name__)
        object.__setattr__(instance, target.name, value)


def check_at_least_one(instance: Any, *names: str) -> None:
    """For `__post_init__`: settings that count something of which there has to be one.

    Raises:
        SettingsError: one of them is below 1.
    """
    for name in names:
        if getattr(instance, name) < 1:
            raise SettingsError(f"{name} is {getattr(instance, name)}", "it has to be 1 or more", f"set --{name}")
