"""Values as they were written, and where: what files and flags are read into."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from selftrain.errors import SettingsError


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

    kind: Literal["default", "profile", "file", "flag", "python", "auto"]
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


def unknown(found: str, name: str, names: Iterable[str], prefix: str = "") -> SettingsError:
    """The error for a name that does not exist, with the nearest one that does."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return SettingsError(found, do=f"did you mean {prefix}{near[0]}?" if near else "see --help")
