"""JSON schema of a file of settings, for editors and checkers: made of the settings themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from selftrain.config.fields import Setting, settings_of
from selftrain.config.values import parts, plain_data

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", Path: "string", NoneType: "null"}


def json_schema(
    sections: Mapping[str, type[Any]], *, title: str = "", profiles: Sequence[str] = ()
) -> dict[str, object]:
    """Of a file for `--config`: settings by their names, or grouped by section. Nothing is required, since flags may
    add to a file; what a run requires says so in its description.

    Args:
        profiles: values of the setting `profile`.
    """
    groups = {name: _properties(section, profiles) for name, section in sections.items()}
    flat = {name: entry for group in groups.values() for name, entry in group.items()}
    # A setting may have the name of a section: a mapping is the section, anything else the setting.
    for name, group in groups.items():
        if group:
            section = {"type": ["object", "null"], "properties": group, "additionalProperties": False}
            flat[name] = {"anyOf": [flat[name], section]} if name in flat else section
    return {"$schema": DRAFT, "title": title, "type": "object", "properties": flat, "additionalProperties": False}


def _properties(section: type[Any], profiles: Sequence[str]) -> dict[str, object]:
    return {target.name: _property(target, profiles) for target in settings_of(section)}


def _property(target: Setting, profiles: Sequence[str]) -> dict[str, object]:
    choices = profiles if target.name == "profile" else target.allowed()
    kinds = [kind for part in parts(target.type) for kind in _kinds(part, target, choices)]
    entry: dict[str, object] = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    if not target.required:
        default = plain_data(target.default)
        entry |= {"const": default} if target.flag_only else {}
        entry["default"] = default
    return {"description": target.describe(), **entry}


def _kinds(hint: Any, target: Setting, choices: Sequence[str]) -> list[dict[str, object]]:
    """A list of one may be written as a lone value."""
    if get_origin(hint) in (tuple, list):
        items = [kind for part in parts(get_args(hint)[0]) for kind in _kinds(part, target, choices)]
        one: dict[str, object] = items[0] if len(items) == 1 else {"anyOf": items}
        fewest = {"minItems": target.min_items} if target.min_items else {}
        array: dict[str, object] = {"type": "array", "items": one, **fewest}
        return [array] if target.min_items > 1 else [array, *items]
    if get_origin(hint) is Literal:
        return [{"enum": list(get_args(hint))}]
    if hint is str and choices:
        return [{"enum": list(choices)}]
    bounds = {"exclusiveMinimum": target.gt, "minimum": target.ge, "exclusiveMaximum": target.lt, "maximum": target.le}
    limits = {word: bound for word, bound in bounds.items() if bound is not None and hint in (int, float)}
    return [{"type": _TYPES[hint], **limits}]
