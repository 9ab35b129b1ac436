"""Types of the standard library, and of numpy, that cross between processes by their parts."""

from __future__ import annotations

import array
import collections
import datetime
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from selftrain.sandbox.inside.protocol import NotPlainError, OtherTypeError

#: Integers are up to this: 2 ** 400_000 has 120,000 digits.
MAX_BITS = 400_000
#: A fraction is reduced in quadratic time, and a decimal may have to be written out.
_MAX_FRACTION_BITS, _MAX_DECIMAL_DIGITS, _MAX_EXPONENT = 20_000, 10_000, 5_000
#: Items of a range where it arrives as a list.
_MAX_RANGE = 10_000_000

_DTYPE = re.compile(r"bool|object|(u?int|float|complex)\d{1,3}|<U\d{1,4}")

_EMPTY: dict[Any, Any] = {}


@dataclass(frozen=True)
class _Built:
    kind: type
    parts: Callable[[Any], Any]
    #: The type that the parts have.
    parts_kind: type
    build: Callable[[Any], Any]
    #: Whether it is a sequence: where types are not exact, it arrives as the list of its parts or items.
    sequence: bool = False


def _decimal(text: str) -> Decimal:
    value = Decimal(text) if len(text) <= _MAX_DECIMAL_DIGITS else Decimal("NaN")
    if not value.is_finite() or abs(value.adjusted()) > _MAX_EXPONENT:
        raise NotPlainError("a decimal that is not finite, or too long")
    return value


def _fraction(parts: Any) -> Fraction:
    if any(type(part) is not int or part.bit_length() > _MAX_FRACTION_BITS for part in parts):
        raise NotPlainError("a fraction that is too long")
    return Fraction(*parts)


def _array(parts: Any) -> array.array[Any]:
    code, items = parts
    if type(items) is not list:
        raise NotPlainError("an array of something else than a list")
    return array.array(code, items)


#: By the name that crosses.
_TYPES: dict[str, _Built] = {
    "range": _Built(range, lambda v: [v.start, v.stop, v.step], list, lambda parts: range(*parts), sequence=True),
    "deque": _Built(collections.deque, list, list, collections.deque, sequence=True),
    # As dicts: those are protected from keys that share a hash.
    "keys": _Built(type(_EMPTY.keys()), dict.fromkeys, dict, dict.keys, sequence=True),
    "values": _Built(type(_EMPTY.values()), list, list, lambda items: dict(enumerate(items)).values(), sequence=True),
    "items": _Built(type(_EMPTY.items()), dict, dict, dict.items, sequence=True),
    "array": _Built(array.array, lambda v: [v.typecode, list(v)], list, _array, sequence=True),
    "bytearray": _Built(bytearray, bytes, bytes, bytearray),
    "Decimal": _Built(Decimal, str, str, _decimal),
    "Fraction": _Built(Fraction, lambda v: [v.numerator, v.denominator], list, _fraction),
    "date": _Built(datetime.date, datetime.date.isoformat, str, datetime.date.fromisoformat),
    "datetime": _Built(datetime.datetime, datetime.datetime.isoformat, str, datetime.datetime.fromisoformat),
    "time": _Built(datetime.time, datetime.time.isoformat, str, datetime.time.fromisoformat),
    "timedelta": _Built(
        datetime.timedelta,
        lambda v: [v.days, v.seconds, v.microseconds],
        list,
        lambda parts: datetime.timedelta(*parts),
    ),
}
_NAMES = {built.kind: name for name, built in _TYPES.items()}
#: The types that a subclass may be taken for, with how to read one without its own methods.
_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (int, int.__int__),
    (float, float.__float__),
    (str, lambda value: "".join(str.__iter__(value))),
    (bytes, lambda value: bytes(bytes.__iter__(value))),
    (tuple, lambda value: tuple(tuple.__iter__(value))),
    (list, lambda value: list(list.__iter__(value))),
    (dict, lambda value: dict(dict.items(value))),
    (set, lambda value: set(set.__iter__(value))),
    (frozenset, lambda value: frozenset(frozenset.__iter__(value))),
    (complex, lambda value: complex(complex.__getattribute__(value, "real"), complex.__getattribute__(value, "imag"))),
)


def take_apart(value: Any, kind: type) -> tuple[str, Any] | None:
    """The name of the type and the parts; None if it is none of these."""
    if name := _NAMES.get(kind):
        return name, _TYPES[name].parts(value)
    numpy = sys.modules.get("numpy")
    if numpy is not None and kind is getattr(numpy, "ndarray", None):
        return "ndarray", [str(value.dtype), value.tolist()]
    return None


def as_base(value: Any, kind: type) -> Any:
    """An instance of a subclass as its base, a number of numpy as Python's; None if it is neither."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and kind.__module__ == "numpy" and isinstance(value, numpy.generic):
        value = value.item()
        return value if type(value) is not kind else None
    mro = type.__getattribute__(kind, "__mro__")
    return next((read(value) for base, read in _BASES if base in mro and kind is not base), None)


def build(name: str, parts: Any, exact: bool) -> Any:
    """Raises NotPlainError, OtherTypeError, or what a type raises for parts that are none."""
    if name == "ndarray":
        return _numpy_array(parts[0], parts[1], exact=exact)
    built = _TYPES[name]
    if type(parts) is not built.parts_kind:
        raise NotPlainError(f"a {name} of something else than its parts")
    value = built.build(parts)
    if not built.sequence or exact:
        return value
    if name == "range" and (value.stop - value.start) // value.step > _MAX_RANGE:
        raise NotPlainError("the range is too long")
    return list(value)


def _numpy_array(dtype: str, items: Any, exact: bool) -> Any:
    if not exact:
        return items
    numpy = sys.modules.get("numpy")
    if numpy is None or not _DTYPE.fullmatch(dtype):
        raise OtherTypeError(f"an array of numpy's {dtype}")
    return numpy.array(items, dtype=dtype)
