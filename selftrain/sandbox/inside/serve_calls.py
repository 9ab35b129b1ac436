"""The candidate's side of a check: it answers calls with plain data. It knows no test."""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from selftrain.sandbox.inside.codec import Decoder, Encoder, from_text, to_text
from selftrain.sandbox.inside.protocol import NotPlainError, OtherTypeError


def read_frame(descriptor: int, cap: int) -> bytes | None:
    """One message; None if the other side closed. Raises NotPlainError if the message is longer than `cap` bytes."""
    head = _exactly(descriptor, 4)
    if head is None:
        return None
    size = int.from_bytes(head, "big")
    if size > cap:
        raise NotPlainError(f"an answer of {size} bytes is over the cap of {cap}")
    return _exactly(descriptor, size)


def write_frame(descriptor: int, body: bytes) -> None:
    write_all(descriptor, len(body).to_bytes(4, "big") + body)


def write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _exactly(descriptor: int, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = os.read(descriptor, size - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)


def resolve(names: Mapping[str, Any], target: str) -> Callable[..., Any]:
    """The callable for "f" or "Solution.method"; the latter creates a new object for every call.

    Raises:
        NameError: the program does not define it.
    """
    first, _, method = target.partition(".")
    if first not in names:
        raise NameError(f"the program defines no {first!r}")
    owner = names[first]
    if not method:
        return owner  # type: ignore[no-any-return]
    if not isinstance(owner, type):
        return getattr(owner, method)  # type: ignore[no-any-return]
    return lambda *arguments, **named: getattr(owner(), method)(*arguments, **named)


def _builtin_name(error: BaseException) -> str:
    """The nearest builtin class of the exception, which the checker knows."""
    for kind in type(error).__mro__:
        if getattr(builtins, kind.__name__, None) is kind:
            return str(kind.__name__)
    return "Exception"


def answer_call(
    function: Callable[..., Any], arguments: Sequence[Any], named: Mapping[str, Any], encoder: Encoder
) -> dict[str, Any]:
    """{"v": value}, or {"e": [exception, text]}, or {"x": reason} for a value that is not plain data, or {"o": reason}
    for one of a type that cannot leave this process.
    """
    try:
        value = function(*arguments, **named)
        return {"v": encoder.encode(value)}
    except OtherTypeError as error:
        return {"o": str(error)[:300]}
    except NotPlainError as error:
        return {"x": str(error)[:300]}
    except Exception as error:
        try:
            text = str(error)[:300]
        except BaseException:
            text = ""
        return {"e": [_builtin_name(error), text]}


class CallServer:
    """Answers a checker until it closes the link.

    Args:
        names: the program's globals.
        load_error: why the program could not be loaded.
        cap: bytes of a message.
    """

    def __init__(self, link: int, names: Mapping[str, Any], load_error: str | None, cap: int) -> None:
        self._link, self._names, self._load_error, self._cap = link, names, load_error, cap
        #: Objects that stay in this process; their index is the number of the checker's handle.
        self._objects: list[Any] = []

    def serve(self) -> None:
        while (frame := read_frame(self._link, self._cap)) is not None:
            request = from_text(frame)
            reply = {"x": self._load_error} if self._load_error is not None else self._reply(request)
            write_frame(self._link, to_text({"k": request["k"], **reply}))

    def _reply(self, request: Mapping[str, Any]) -> dict[str, Any]:
        decode = Decoder(self._objects.__getitem__, exact=True).decode
        keep = self._keep if request["h"] else None
        arguments, named = decode(request["a"]), decode(request["w"])
        try:
            function = self._function(request["t"])
        except Exception as error:
            return {"e": [_builtin_name(error), str(error)[:300]]}
        reply = answer_call(function, arguments, named, self._encoder(keep))
        if request["m"] and "v" in reply:
            reply["m"] = [self._copy(argument, keep) for argument in arguments]
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

    def _encoder(self, keep: Callable[[Any], int] | None) -> Encoder:
        return Encoder(keep, max_items=self._cap // 2)

    def _copy(self, argument: Any, keep: Callable[[Any], int] | None) -> Any:
        return self._encoder(keep).encode(argument) if type(argument) in (list, dict, set) else None
