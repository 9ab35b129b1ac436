"""A setting: a dataclass field with a meaning, a source for its default, and the values it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar, cast, dataclass_transform, get_args, get_type_hints, overload
from weakref import WeakSet

from selftrain.config.values import convert, item_type, spell, yaml_text
from selftrain.errors import SettingsError

#: All classes made by `config_dataclass`.
_SECTIONS: WeakSet[type[Any]] = WeakSet()

T = TypeVar("T")
C = TypeVar("C", bound=type[Any])
#: The values of a text setting: fixed, or looked up when needed (a registry that plugins extend).
Choices = Sequence[str] | Callable[[], Sequence[str]]


@dataclass(frozen=True)
class Setting:
    """What is known of one field of a section.

    Setting("num_generations", int, 32, help="completions per problem", source="ReST-EM, section 4", ge=1)
    """

    name: str
    type: Any
    default: Any
    help: str = ""
    source: str = "ours"
    example: str = ""
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    min_items: int = 0
    choices: Choices = ()
    positional: bool = False
    #: Accepted from the command line only; a file may only repeat the default.
    flag_only: bool = False
    resumable: bool = False
    forkable: bool = False
    #: Shown by `--help`; the others by `--help all`.
    essential: bool = False

    @property
    def required(self) -> bool:
        return self.default is MISSING

    def describe(self) -> str:
        """The help text, with the default and its source."""
        if self.required:
            return f"{self.help}. Required, e.g. {self.example}"
        return f"{self.help}. Default: {yaml_text(self.default)} ({self.source})"

    def metavar(self) -> str:
        """One value of it, as a person would write it: int, true|false, latest|base."""
        return "|".join(self.allowed()) or spell(item_type(self.type) or self.type)

    def read(self, value: object, place: str) -> Any:
        """`value` in the type of this setting.

        Raises:
            SettingsError: it has another type or is out of bounds; the message names `place`, where it was found.
        """
        found = value
        try:
            found = convert(value, self.type)
            if self._fits(found):
                return found
        except (ValueError, OverflowError):
            pass
        raise SettingsError(
            f"{self.name} is {found!r:.80} ({place})",
            f"expected {self.expected()}",
            f"for example: {self.example}"
            if self.required
            else f"the default is {yaml_text(self.default)} ({self.source})",
        )

    def _fits(self, value: Any) -> bool:
        if value is None:
            return True
        items = value if isinstance(value, list | tuple) else [value]
        choices = self.allowed()
        return (
            len(items) >= self.min_items
            and all(self._within_bounds(item) for item in items if isinstance(item, int | float))
            and (not choices or all(item in choices for item in items))
        )

    def _within_bounds(self, number: float) -> bool:
        return (
            (self.gt is None or number > self.gt)
            and (self.ge is None or number >= self.ge)
            and (self.lt is None or number < self.lt)
            and (self.le is None or number <= self.le)
        )

    def expected(self) -> str:
        """The values it takes, in words: int|null, at least 1."""
        spelled = {"above": self.gt, "at least": self.ge, "below": self.lt, "at most": self.le}
        bounds = " and ".join(f"{word} {bound:g}" for word, bound in spelled.items() if bound is not None)
        items = f"with {self.min_items} or more items" if self.min_items else ""
        return ", ".join(filter(None, ["|".join(self.allowed()) or spell(self.type), items, bounds]))

    def allowed(self) -> Sequence[str]:
        """The texts it may be; none where any will do."""
        return self.choices() if callable(self.choices) else self.choices


def setting(
    default: T,
    help: str = "",
    *,
    source: str = "ours",
    gt: float | None = None,
    ge: float | None = None,
    lt: float | None = None,
    le: float | None = None,
    min_items: int | None = None,
    choices: Choices | None = None,
    positional: bool | None = None,
    flag_only: bool | None = None,
    resumable: bool | None = None,
    forkable: bool | None = None,
    essential: bool | None = None,
) -> T:
    """A field with a default.

    A subclass that gives a setting another default inherits all else from the parent's but `source`.

    Args:
        help: a phrase without a full stop.
        source: who chose the default: a paper and its section, another library, or us.
        gt, ge, lt, le: bounds of the number, or of each item of a list.
        min_items: items a list has to have.
        choices: the texts it may be.
        positional: given on the command line without a flag.
        flag_only: not accepted from a file.
        resumable: may change when a run is resumed, or forked.
        forkable: may change when a run is forked.
        essential: one of the dozen that `--help` shows; all are shown by `--help all`.
    """
    given = {name: value for name, value in locals().items() if name != "default" and value not in (None, "")}
    if isinstance(default, list):
        return cast(T, field(default_factory=default.copy, metadata=given))
    return field(default=default, metadata=given)


def required(help: str, *, example: str, positional: bool = False, resumable: bool = False) -> Any:
    """A field that has to be given, and so an essential one; `example` is shown to those who did not."""
    given = {"help": help, "example": example, "positional": positional, "resumable": resumable}
    return field(metadata=given | {"essential": True})


@overload
def config_dataclass(cls: C) -> C: ...
@overload
def config_dataclass(
    *, gt: float | None = None, resumable: bool | None = None, forkable: bool | None = None
) -> Callable[[C], C]: ...
@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(required,))
def config_dataclass(
    cls: Any = None, *, gt: float | None = None, resumable: bool | None = None, forkable: bool | None = None
) -> Any:
    """Makes a class of settings: a frozen dataclass with keyword-only fields, checked when built.

    Python callers obey the same types and bounds as files and flags; a value that fits but has another form (a str
    for a Path, a list for a tuple) is converted. A method `check(self)`, where the class has one, is called last: it
    raises SettingsError for settings that do not fit together.

    Args:
        gt, resumable, forkable: as of `setting`, for all settings of the class that say nothing else.
    """
    named = {"gt": gt, "resumable": resumable, "forkable": forkable}
    common = {name: value for name, value in named.items() if value is not None}
    return (lambda cls: _decorate(cls, common)) if cls is None else _decorate(cls, common)


def _decorate(cls: Any, defaults: Mapping[str, Any]) -> Any:
    for value in vars(cls).values():
        if isinstance(value, Field):
            value.metadata = MappingProxyType({**defaults, **value.metadata})
    check: Callable[[Any], None] | None = getattr(cls, "check", None)

    def validate(self: Any) -> None:
        for target in settings_of(type(self)):
            # The dataclass is frozen for everybody else.
            object.__setattr__(self, target.name, target.read(getattr(self, target.name), type(self).__name__))
        if check is not None:
            check(self)

    cls.__post_init__ = validate
    _SECTIONS.add(cls)
    return dataclass(frozen=True, kw_only=True)(cls)


def section_types(holder: type[Any]) -> dict[str, type[Any]]:
    """The sections of settings among the fields of a dataclass, optional ones included, by the field's name."""
    hints = get_type_hints(holder)
    parts = {f.name: get_args(hints[f.name]) or (hints[f.name],) for f in fields(holder)}
    return {name: part for name, types in parts.items() for part in types if part in _SECTIONS}


def settings_of(section: type[Any]) -> tuple[Setting, ...]:
    """The settings of one section: required ones first, then in the order of its fields."""
    return _settings_of(cast(Any, section))


@cache
def _settings_of(section: Any) -> tuple[Setting, ...]:
    hints = get_type_hints(section)
    found = []
    for f in fields(section):
        default = f.default if f.default_factory is MISSING else f.default_factory()
        found.append(Setting(f.name, hints[f.name], default, **_metadata(section, f.name)))
    return tuple(sorted(found, key=lambda target: not target.required))


def _metadata(section: type[Any], name: str) -> dict[str, Any]:
    """What the class says of a setting, over what its parents say; but a new default has a source of its own."""
    merged: dict[str, Any] = {}
    for cls in reversed(section.__mro__):
        own = vars(cls).get("__dataclass_fields__", {}).get(name)
        merged |= own.metadata if own is not None else {}
    return merged | {"forkable": merged.get("forkable", False) or merged.get("resumable", False)}


def settings_in(sections: Mapping[str, type[Any]]) -> dict[str, Setting]:
    """The settings of all sections by name: one flat name space."""
    return {target.name: target for section in sections.values() for target in settings_of(section)}
