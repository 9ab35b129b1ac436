"""How a value is read: the same rules for Python, YAML files and flags.

    bool            true or false in any case; not yes, no, on, off, 1 or 0
    int             8, and also 8.0 or 1e3; never 8.5
    float           8, 0.7, 1e-5; never NaN or infinity (a setting without a limit is None)
    X | None        null, none or ~ is None; so is an empty value in a YAML file
    Literal         one of its choices
    str, Path       text; a Path may start with ~
    tuple, list     items of one type; a single value is a list of one

Quoted text in a YAML file is text: "8" is not a number, and "null" is not None.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import yaml

from selftrain.config.given import Plain
from selftrain.errors import SettingsError

NONE_WORDS = ("null", "none", "~")


def convert(value: object, hint: Any) -> Any:
    """`value` as a value of type `hint`.

    Raises:
        ValueError, OverflowError: it is not one.
        TypeError: `hint` cannot be the type of a setting.
    """
    kind = get_origin(hint)
    if kind in (Union, UnionType):
        return _first_that_fits(value, hint)
    if kind is Literal:
        return _choice(value, get_args(hint))
    if kind in (tuple, list):
        items = value if isinstance(value, list | tuple) else [value]
        return kind(convert(item, get_args(hint)[0]) for item in items)
    return _leaf(hint)[1](value)


def spell(hint: Any) -> str:
    """`hint` as a person would write it: int, true|false, latest|base, int|null, list of str."""
    kind, args = get_origin(hint), get_args(hint)
    if kind in (Union, UnionType):
        return "|".join(map(spell, args))
    if kind is Literal:
        return "|".join(map(str, args))
    return f"list of {spell(args[0])}" if kind in (tuple, list) else _leaf(hint)[0]


def item_type(hint: Any) -> Any:
    """The type of one item where `hint` is a list or an optional list, else None."""
    return next((get_args(part)[0] for part in parts(hint) if get_origin(part) in (tuple, list)), None)


def yaml_text(value: object) -> str:
    """One line of YAML which `convert` reads back as `value`."""
    plain = plain_data(value)
    texts = [text for text in (plain if isinstance(plain, list) else [plain]) if isinstance(text, str)]
    quoted = any(text.lower() in NONE_WORDS or not text.isprintable() for text in texts)
    style = '"' if quoted else None
    dumped = yaml.safe_dump(plain, default_flow_style=True, default_style=style, allow_unicode=True, width=sys.maxsize)
    return dumped.split("\n")[0]


def plain_data(value: object) -> Any:
    """`value` in JSON types."""
    if isinstance(value, tuple | list):
        return [plain_data(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def parts(hint: Any) -> tuple[Any, ...]:
    """The alternatives of a union, else the type itself."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _first_that_fits(value: object, hint: Any) -> Any:
    # None first and text last: any text at all would fit a str.
    for part in sorted(parts(hint), key=lambda part: (part is not NoneType, part in (str, Path))):
        try:
            return convert(value, part)
        except ValueError:
            continue
    raise ValueError(value)


def _choice(value: object, choices: tuple[Any, ...]) -> Any:
    for choice in choices:
        if str(choice) == value if isinstance(value, Plain) else (type(choice), choice) == (type(value), value):
            return choice
    raise ValueError(value)


def _none(value: object) -> None:
    if not (value is None or (isinstance(value, Plain) and value.lower() in NONE_WORDS)):
        raise ValueError(value)


def _bool(value: object) -> bool:
    if isinstance(value, Plain) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, bool):
        return value
    raise ValueError(value)


def _int(value: object) -> int:
    if isinstance(value, Plain):
        try:
            return int(value)
        except ValueError:
            value = float(value)
    # A bool is an int to Python, not to a person.
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise ValueError(value)


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Plain) or not math.isfinite(float(value)):
        raise ValueError(value)
    return float(value)


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return str(value)


def _path(value: object) -> Path:
    if not isinstance(value, str | Path):
        raise ValueError(value)
    try:
        return Path(value).expanduser()
    except RuntimeError:  # `~name` where nobody has that name
        raise ValueError(value) from None


_LEAVES: dict[Any, tuple[str, Callable[[object], Any]]] = {
    NoneType: ("null", _none),
    bool: ("true|false", _bool),
    int: ("int", _int),
    float: ("float", _float),
    str: ("str", _str),
    Path: ("path", _path),
}


def _leaf(hint: Any) -> tuple[str, Callable[[object], Any]]:
    if hint not in _LEAVES:
        raise TypeError(f"{hint} cannot be the type of a setting")
    return _LEAVES[hint]


def check_share_or_number(name: str, value: float | None) -> None:
    """Of a setting that is a share below 1, and a number from 1 up.

    Raises:
        SettingsError: it is neither.
    """
    if value is not None and value > 1 and value != int(value):
        raise SettingsError(
            f"{name} is {value:g}",
            "below 1 it is a share of the problems, from 1 up their number",
            "give one of the two",
        )
