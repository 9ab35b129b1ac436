"""Plain data as JSON: values of known types only, rebuilt from their parts on the other side.

What arrives is of an exact builtin or library type, so nothing that arrives can define its own equality.

    None, bool, float, str, short int    themselves
    long int                             {"i": "-ff"}          in hex, which is parsed in linear time
    list                                 [...]
    tuple, set, frozenset                {"t": [...]}, {"s": [...]}, {"f": [...]}
    dict                                 {"d": [[key, value], ...]}   also Counter, defaultdict, OrderedDict
    bytes, complex                       {"b": "00ff"}, {"c": [real, imag]}
    a builtin class such as int          {"y": "int"}
    iterator                             {"n": [...]}          drained; {"m": [...]}: its first items, there are more
    range, deque, Fraction, a date, ...  {"o": [type, parts]}  see built_types.py
    a subclass of one of these           as that type
    anything else                        {"h": number}         a handle, only where the caller keeps such objects

The encoder may run in a process with model code, which can make it write anything; the decoder trusts nothing.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from selftrain.sandbox.inside import built_types
from selftrain.sandbox.inside.built_types import MAX_BITS
from selftrain.sandbox.inside.protocol import NotPlainError, OtherTypeError

MAX_DEPTH = 120
#: Items of an iterator that cross at once.
MAX_DRAINED = 20_000
#: Keys of a set or dict with the same hash. Honest ones come in pairs: hash(-1) == hash(-2).
_MAX_SAME_HASH = 16
#: Ints below are JSON numbers, which Python parses exactly.
_SHORT = 1 << 63

_DICTS = (dict, collections.Counter, collections.defaultdict, collections.OrderedDict)
_PLAIN: tuple[type, ...] = (bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict)
_CLASSES = {kind.__name__: kind for kind in _PLAIN}
_TAGS: dict[type, str] = {tuple: "t", set: "s", frozenset: "f"}


class Encoder:
    """
    Args:
        keep: stores an object that is not plain data and returns the number of its handle. None: it is refused.
        handle: the class of handles that may be passed back.
        max_items: values in all that is encoded.
        max_drained: items of an iterator; of a longer one only these cross.
    """

    def __init__(
        self,
        keep: Callable[[Any], int] | None = None,
        handle: type | None = None,
        *,
        max_items: int = 200_000,
        max_drained: int = MAX_DRAINED,
    ) -> None:
        self._keep, self._handle, self._items = keep, handle, 0
        self._max_items, self._max_drained = max_items, max_drained

    def encode(self, value: Any, depth: int = 0) -> Any:
        kind = type(value)
        self._items += 1
        if depth > MAX_DEPTH or self._items > self._max_items:
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
        if int.bit_length(value) > MAX_BITS:
            raise NotPlainError("the number is too long")
        return {"i": format(value, "x")}

    def _rest(self, value: Any, kind: type, depth: int) -> Any:
        if self._handle is not None and kind is self._handle:
            return {"h": value._number}
        if (parts := built_types.take_apart(value, kind)) is not None:
            return {"o": [parts[0], self.encode(parts[1], depth + 1)]}
        if self._keep is not None and not hasattr(kind, "__next__"):
            return {"h": self._keep(value)}
        if (base := built_types.as_base(value, kind)) is not None:
            return self.encode(base, depth)
        if hasattr(kind, "__next__"):
            drained = list(islice(value, self._max_drained + 1))
            tag = "n" if len(drained) <= self._max_drained else "m"
            return {tag: [self.encode(item, depth + 1) for item in drained[: self._max_drained]]}
        raise OtherTypeError(f"a {kind.__name__} is not plain data")


class Decoder:
    """
    Args:
        find: the object of a handle's number. None: handles are refused.
        exact: whether ranges, iterators and the like arrive as what they were. If not, as lists.
        more: called when an iterator is asked for items beyond those that crossed. None: such an iterator is refused.
    """

    def __init__(
        self,
        find: Callable[[int], Any] | None = None,
        *,
        exact: bool = False,
        more: Callable[[], None] | None = None,
    ) -> None:
        self._find, self._exact, self._more = find, exact, more

    def decode(self, data: Any, depth: int = 0) -> Any:
        if depth > MAX_DEPTH:
            raise NotPlainError("the value is too deep")
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
        except (TypeError, ValueError, KeyError, ArithmeticError, RecursionError) as error:
            raise NotPlainError(f"not a value of tag {tag!r}: {error}") from None

    def _tagged(self, tag: str, body: Any, depth: int) -> Any:
        if tag == "i":
            if not isinstance(body, str) or len(body) > MAX_BITS // 4 + 2:
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
        if tag == "o":
            name, parts = body
            return built_types.build(name, self.decode(parts, depth + 1), exact=self._exact)
        if tag == "d":
            pairs = [(self.decode(key, depth + 1), self.decode(item, depth + 1)) for key, item in body]
            _refuse_collisions([key for key, _ in pairs])
            return dict(pairs)
        items = [self.decode(item, depth + 1) for item in body]
        if tag in ("n", "m"):
            return self._iterator(items, whole=tag == "n")
        if tag != "t":
            _refuse_collisions(items)
        return {"t": tuple, "s": set, "f": frozenset}[tag](items)

    def _iterator(self, items: list[Any], whole: bool) -> Any:
        if not whole and self._more is None:
            raise NotPlainError(f"an iterator of more than {len(items)} items")
        if not self._exact:
            return items
        return iter(items) if whole else self._with_more(items)

    def _with_more(self, items: list[Any]) -> Iterator[Any]:
        yield from items
        if self._more is not None:
            self._more()


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
