"""The candidate's side of a conversation: it answers calls with plain data. It knows no test."""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from selftrain.sandbox.inside.codec import Decoder, Encoder, NotPlainError, from_text, to_text


def read_frame(descriptor: int, cap: int) -> bytes | None:
    """One message; None at the end of the conversation, NotPlainError for one that is longer than `cap` bytes."""
    head = _exactly(descriptor, 4)
    if head is None:
        return None
    size = int.from_bytes(head, "big")
    if size > cap:
        raise NotPlainError(f"an answer of {size} bytes is over the cap of {cap}")
    return _exactly(descriptor, size)


def write_frame(descriptor: int, body: bytes) -> None:
    text = len(body).to_bytes(4, "big") + body
    while text:
        text = text[os.write(descriptor, text) :]


def _exactly(descriptor: int, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = os.read(descriptor, size - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)


def resolve(names: Mapping[str, Any], target: str) -> Callable[..., Any]:
    """ "f", or "Solution.method", where a class is made anew for every call. KeyError where there is none."""
    first, _, method = target.partition(".")
    if first not in names and not hasattr(builtins, first):
        raise NameError(f"the program defines no {first!r}")
    owner = names[first] if first in names else getattr(builtins, first)
    if not method:
        return owner  # type: ignore[no-any-return]
    if not isinstance(owner, type):
        return getattr(owner, method)  # type: ignore[no-any-return]
    return lambda *arguments, **named: getattr(owner(), method)(*arguments, **named)


def _builtin_name(error: BaseException) -> str:
    """The nearest class of the exception that the checker has too."""
    for kind in type(error).__mro__:
        if getattr(builtins, kind.__name__, None) is kind:
            return str(kind.__name__)
    return "Exception"


def answer(
    function: Callable[..., Any], arguments: Sequence[Any], named: Mapping[str, Any], keep: Callable[[Any], int] | None
) -> dict[str, Any]:
    """{"v": value}, {"e": [exception, text]} for an exception, {"x": reason} for a value that is not plain."""
    try:
        value = function(*arguments, **named)
        return {"v": Encoder(keep).encode(value)}
    except NotPlainError as error:
        return {"x": str(error)}
    except Exception as error:
        try:
            text = str(error)[:300]
        except BaseException:
            text = ""
        return {"e": [_builtin_name(error), text]}


class Answers:
    """Serve a checker until it hangs up."""

    def __init__(self, link: int, names: Mapping[str, Any], dead: str | None, cap: int) -> None:
        self._link, self._names, self._dead, self._cap = link, names, dead, cap
        self._objects: list[Any] = []

    def serve(self) -> None:
        while (frame := read_frame(self._link, self._cap)) is not None:
            request = from_text(frame)
            reply = {"x": self._dead} if self._dead is not None else self._reply(request)
            write_frame(self._link, to_text({"k": request["k"], **reply}))

    def _reply(self, request: Mapping[str, Any]) -> dict[str, Any]:
        decode = Decoder(self._objects.__getitem__, iter).decode
        arguments, named = decode(request["a"]), decode(request["w"])
        try:
            function = self._function(request["t"])
        except Exception as error:
            return {"e": [_builtin_name(error), str(error)[:300]]}
        reply = answer(function, arguments, named, self._keep)
        if request["m"] and "v" in reply:
            reply["m"] = [self._copy(argument) for argument in arguments]
        return reply

    def _function(self, target: Any) -> Callable[..., Any]:
        if isinstance(target, list):
            number, name, what = target
            owner = self._objects[number]
            if what == "set":
                return lambda value: setattr(owner, name, value)
            return getattr(owner, name) if what == "call" else lambda: getattr(owner, name)
        return resolve(self._names, target)

    def _keep(self, value: Any) -> int:
        self._objects.append(value)
        return len(self._objects) - 1

    def _copy(self, argument: Any) -> Any:
        return Encoder(self._keep).encode(argument) if type(argument) in (list, dict, set) else None
