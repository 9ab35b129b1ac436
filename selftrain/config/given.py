"""Values as they were written, and where: what files and flags are read into."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from selftrain.errors import SettingsError

_Kind = Literal["default", "profile", "file", "flag", "python", "auto"]


class Plain(str):
    """Text without quotes, from a flag or a YAML file: it is read by the type of the setting it is for.

    So `1e-5` is a number for a float (PyYAML alone would say text) and `007` stays `007` for a text.
    """

    __slots__ = ()


@dataclass(frozen=True)
class Origin:
    """Where a value comes from.

    Origin("default", "ReST-EM, section 4")    Origin("file", "run.yaml:7")    Origin("flag", "--top_k")
    Origin("auto", "the answers are numbers")
    """

    kind: _Kind
    place: str

    def __str__(self) -> str:
        forms = {"default": f"default ({self.place})", "file": self.place, "python": "given in Python"}
        forms["auto"] = f"auto: {self.place}"
        return forms.get(self.kind, f"{self.kind} {self.place}")


@dataclass(frozen=True)
class Given:
    """A value as it was written: `Plain` text, quoted text (a str), None, or a list of these."""

    value: object
    origin: Origin


def from_record(
    settings: Mapping[str, object], origins: Mapping[str, Sequence[str]], targets: Mapping[str, Any], place: str
) -> dict[str, Given]:
    """Settings as a run recorded them, with the origins that they had when it began.

    Args:
        targets: the settings there are, by name.
        place: of the record. What only a flag may set counts as given there, and is refused.

    Raises:
        SettingsError: there is no such setting any more.
    """
    given = {}
    for name, value in settings.items():
        if name not in targets:
            raise SettingsError(
                f"{name} is not a setting ({place})", "another version of selftrain recorded it", "use that version"
            )
        kind, where = origins.get(name, ("file", place))
        known = kind in get_args(_Kind) and not (targets[name].flag_only and value != targets[name].default)
        given[name] = Given(value, Origin(kind, where) if known else Origin("file", place))  # type: ignore[arg-type]
    return given


def unknown(found: str, name: str, names: Iterable[str], prefix: str = "") -> SettingsError:
    """The error for a name that does not exist, with the nearest one that does."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return SettingsError(found, do=f"did you mean {prefix}{near[0]}?" if near else "see --help")
