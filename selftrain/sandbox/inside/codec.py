"""Plain data as JSON: exact builtin types only, everything else is refused.

No subclass and no object with methods of its own passes, so nothing that arrives can define its own equality.

    None, bool, float, str, short int    themselves
    long int                             {"i": "-ff"}          in hex, which is parsed in linear time
    list                                 [...]
    tuple, set, frozenset                {"t": [...]}, {"s": [...]}, {"f": [...]}
    dict                                 {"d": [[key, value], ...]}   also Counter, defaultdict, OrderedDict
    bytes, complex                       {"b": "00ff"}, {"c": [real, imag]}
    a builtin class such as int          {"y": "int"}
    iterator, deque, range and views     {"n": [...]}          drained up to a cap
    anything else                        {"h": number}         a handle, only where the caller keeps such objects

The encoder may run in a process with model code, which can make it write anything; the decoder trusts nothing.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Callable
from itertools import islice
from typing import Any

MAX_DEPTH = 60
MAX_ITEMS = 200_000
#: Items of an iterator; a longer one is refused.
MAX_DRAINED = 20_000
#: Keys of a set or dict with the same hash. Honest ones come in pairs: hash(-1) == hash(-2).
_MAX_SAME_HASH = 16
#: Ints below are JSON numbers, which Python parses exactly.
_SHORT = 1 << 63
#: Longer ones are hex, up to this: 2 ** 400_000 has 120,000 digits.
_MAX_BITS = 400_000

_DICTS = (dict, collections.Counter, collections.defaultdict, collections.OrderedDict)
_EMPTY: dict[Any, Any] = {}
_VIEWS = tuple(type(view) for view in (_EMPTY.keys(), _EMPTY.values(), _EMPTY.items()))
_ITERATORS: tuple[Any, ...] = (
    *(iter([]), iter(()), iter({}), iter(set()), iter(range(0)), iter(""), map(str, ""), filter(None, "")),
    *(zip(), enumerate(""), reversed([]), (0 for _ in ())),
)
_DRAINED: tuple[type, ...] = (*_VIEWS, range, collections.deque, *map(type, _ITERATORS))
_PLAIN: tuple[type, ...] = (bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict)
_CLASSES = {kind.__name__: kind for kind in _PLAIN}
_TAGS: dict[type, str] = {tuple: "t", set: "s", frozenset: "f"}


class NotPlainError(ValueError):
    """A value that is not plain data, or too deep, or too large."""


class Encoder:
    """
    Args:
        keep: stores an object that is not plain data and returns the number of its handle. None: it is refused.
        handle: the class of handles that may be passed back.
    """

    def __init__(self, keep: Callable[[Any], int] | None = None, handle: type | None = None) -> None:
        self._keep, self._handle, self._items = keep, handle, 0

    def encode(self, value: Any, depth: int = 0) -> Any:
        kind = type(value)
        self._items += 1
        if depth > MAX_DEPTH or self._items > MAX_ITEMS:
            raise NotPlainError("the value is too deep or too large")
        if value is None or kind is bool or kind is float or kind is str:
            return value
        if kind is int:
            return value if -_SHORT < value < _SHORT else self._long(value)
        if kind is list:
            return [self.encode(item, depth + 1) for item in list.__iter__(value)]
        if kind in _TAGS:
            return {_TAGS[kind]: [self.encode(item, depth + 1) for item in kind.__iter__(value)]}
        if kind in _DICTS:
            pairs = dict.items(value)
            return {"d": [[self.encode(key, depth + 1), self.encode(item, depth + 1)] for key, item in pairs]}
        if kind is bytes:
            return {"b": bytes.hex(value)}
        if kind is complex:
            return {"c": [value.real, value.imag]}
        if kind is type and value in _PLAIN:
            return {"y": value.__name__}
        return self._rest(value, kind, depth)

    def _long(self, value: int) -> Any:
        if int.bit_length(value) > _MAX_BITS:
            raise NotPlainError("the number is too long")
        return {"i": format(value, "x")}

    def _rest(self, value: Any, kind: type, depth: int) -> Any:
        if kind in _DRAINED or hasattr(kind, "__next__"):
            drained = list(islice(value, MAX_DRAINED + 1))
            if len(drained) > MAX_DRAINED:
                raise NotPlainError(f"the iterator has more than {MAX_DRAINED} items")
            return {"n": [self.encode(item, depth + 1) for item in drained]}
        if self._handle is not None and kind is self._handle:
            return {"h": value._number}
        if self._keep is not None:
            return {"h": self._keep(value)}
        raise NotPlainError(f"a {kind.__name__} is not plain data")


class Decoder:
    """
    Args:
        find: the object of a handle's number. None: handles are refused.
        iterate: from a list of items to an iterator.
    """

    def __init__(self, find: Callable[[int], Any] | None = None, iterate: Callable[[list[Any]], Any] = list) -> None:
        self._find, self._iterate, self._items = find, iterate, 0

    def decode(self, data: Any, depth: int = 0) -> Any:
        self._items += 1
        if depth > MAX_DEPTH or self._items > MAX_ITEMS:
            raise NotPlainError("the value is too deep or too large")
        if isinstance(data, list):
            return [self.decode(item, depth + 1) for item in data]
        if not isinstance(data, dict):
            return data
        if len(data) != 1:
            raise NotPlainError("not a tagged value")
        ((tag, body),) = data.items()
        try:
            return self._tagged(tag, body, depth)
        except NotPlainError:
            raise
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            raise NotPlainError(f"not a value of tag {tag!r}: {error}") from None

    def _tagged(self, tag: str, body: Any, depth: int) -> Any:
        if tag == "i":
            if not isinstance(body, str) or len(body) > _MAX_BITS // 4 + 2:
                raise NotPlainError("the number is too long")
            return int(body, 16)
        if tag == "b":
            return bytes.fromhex(body)
        if tag == "y":
            return _CLASSES[body]
        if tag == "h":
            if self._find is None or type(body) is not int:
                raise NotPlainError("an object that is not plain data")
            return self._find(body)
        if not isinstance(body, list):
            raise NotPlainError("not a list")
        if tag == "c":
            real, imaginary = body
            return complex(float(real), float(imaginary))
        if tag == "d":
            pairs = [(self.decode(key, depth + 1), self.decode(item, depth + 1)) for key, item in body]
            _refuse_collisions([key for key, _ in pairs])
            return dict(pairs)
        items = [self.decode(item, depth + 1) for item in body]
        if tag == "n":
            return self._iterate(items)
        if tag != "t":
            _refuse_collisions(items)
        return {"t": tuple, "s": set, "f": frozenset}[tag](items)


def _refuse_collisions(keys: list[Any]) -> None:
    """Refuses keys chosen to share one hash, of which a set takes quadratic time to build."""
    hashes = sorted(map(hash, keys))
    if any(a == b for a, b in zip(hashes, hashes[_MAX_SAME_HASH:], strict=False)):
        raise NotPlainError("keys that all have the same hash")


def to_text(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode("ascii")


def from_text(text: bytes) -> Any:
    """Parses untrusted JSON. Raises NotPlainError for whatever is wrong with it."""
    try:
        return json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise NotPlainError(f"not JSON: {error}") from None
