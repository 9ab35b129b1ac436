"""Frozen dataclasses as strict JSON, and back by their annotations.

Strict: no NaN and no Infinity, which other languages' parsers refuse. A number that is not finite is written as null,
and null is read as NaN where the annotation is `float`.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from selftrain.errors import RunError

T = TypeVar("T")
#: Found once for each class: resolving annotations is slow.
_FIELDS: dict[Any, dict[str, tuple[Any, bool]]] = {}


def to_plain(value: object) -> Any:
    """Dataclasses and mappings as dicts, tuples as lists. A field that holds its empty default is left out."""
    if is_dataclass(value) and not isinstance(value, type):
        found = ((field, getattr(value, field.name)) for field in fields(value))
        return {field.name: to_plain(inner) for field, inner in found if inner or not _is_empty_default(field, inner)}
    if isinstance(value, Mapping):
        return {key: to_plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _is_empty_default(field: Any, value: object) -> bool:
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    return bool(value == default)


def from_plain(cls: type[T], value: Any, where: str) -> T:
    """
    Args:
        cls: a dataclass of numbers, strings, tuples, mappings and other such dataclasses.
        where: names `value` in errors, such as "line 3 of rounds.jsonl".

    Raises:
        RunError: a key is unknown or missing, or a value is of another type. Unknown keys are not skipped: what reads
            them would silently leave out a part of what was recorded.
    """
    if not isinstance(value, Mapping):
        raise _unreadable(where, f"is {value!r:.50}, not an object")
    wanted = _fields_of(cls)
    if unknown := sorted(value.keys() - wanted.keys()):
        raise _unreadable(where, f"has the unknown key {unknown[0]!r}")
    if missing := sorted(name for name, (_, required) in wanted.items() if required and name not in value):
        raise _unreadable(where, f"lacks the key {missing[0]!r}")
    return cls(**{name: _read(wanted[name][0], inner, f"{name} in {where}") for name, inner in value.items()})


def _fields_of(cls: Any) -> dict[str, tuple[Any, bool]]:
    """Field -> its annotation, and whether it has no default."""
    if cls not in _FIELDS:
        hints = get_type_hints(cls)
        required = {f.name: f.default is MISSING and f.default_factory is MISSING for f in fields(cls)}
        _FIELDS[cls] = {name: (hints[name], required[name]) for name in required}
    return _FIELDS[cls]


def _read(hint: Any, value: Any, where: str) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        (hint,) = (arg for arg in args if arg is not type(None))
        return _read(hint, value, where)
    if is_dataclass(hint):
        return from_plain(hint, value, where)  # type: ignore[arg-type]
    if origin is tuple:
        inner = _checked(value, list, where)
        return tuple(_read(args[0], one, where) for one in inner)
    if origin is not None and origin is not Literal:
        mapping = _checked(value, dict, where)
        return {key: _read(args[1], one, f"{key} in {where}") for key, one in mapping.items()}
    return _scalar(hint, value, where)


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and value is None:
        return math.nan
    if get_origin(hint) is Literal:
        fits = value in get_args(hint)
    elif hint is float:
        fits = type(value) in (int, float)
    else:
        fits = type(value) is hint
    if not fits:
        raise _unreadable(where, f"is {value!r:.50}, not {getattr(hint, '__name__', hint)}")
    return value


def _checked(value: Any, kind: type[Any], where: str) -> Any:
    if not isinstance(value, kind):
        raise _unreadable(where, f"is {value!r:.50}, not a {kind.__name__}")
    return value


def _unreadable(where: str, wrong: str) -> RunError:
    return RunError(
        f"{where} {wrong}",
        "it was written by another version of selftrain, or edited",
        "read it with the version that wrote it (environment.json of the run names it)",
    )
