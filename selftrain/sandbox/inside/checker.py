"""The checker's side: it runs the test and calls the candidate through a proxy. No model code runs in this process."""

from __future__ import annotations

import builtins
import secrets
import sys
from collections.abc import Mapping
from typing import Any

from selftrain.sandbox.inside.codec import Decoder, Encoder, from_text, to_text
from selftrain.sandbox.inside.parse_test import ParsedTest, parse_test
from selftrain.sandbox.inside.protocol import ENDED, NotPlainError, OtherTypeError
from selftrain.sandbox.inside.serve_calls import read_frame, write_frame


class GoneError(BaseException):
    """The candidate ended or broke the protocol. Not an Exception, which a test's `except Exception` would hide."""


class NotTransferableError(BaseException):
    """The test passes, or the program returns, an object that cannot leave its process: the test cannot be run here."""


class Link:
    """Calls the candidate. Each request has a secret key that its reply must repeat, so no reply can be sent ahead."""

    def __init__(self, descriptor: int, cap: int) -> None:
        self._descriptor, self._cap = descriptor, cap
        self.calls, self.gone = 0, ""
        #: Whether the test uses classes of the program, whose objects stay in its process.
        self.handles = False

    def call(self, target: str | list[Any], arguments: tuple[Any, ...], named: dict[str, Any], back: bool) -> Any:
        if self.gone:
            raise GoneError
        key = secrets.token_hex(8)
        try:
            encode = Encoder(handle=Handle, max_items=self._cap // 2).encode
            request = {"k": key, "t": target, "a": encode(list(arguments)), "w": encode(named), "m": back}
            request["h"] = self.handles
        except NotPlainError as error:
            raise NotTransferableError(
                f"the test passes the program something that is not plain data: {error}"
            ) from None
        try:
            write_frame(self._descriptor, to_text(request))
            reply = self._reply(key)
        except OSError:  # the candidate ended while we write
            self.gone = ENDED
            raise GoneError from None
        except NotPlainError as error:
            self.gone = str(error)
            raise GoneError from None
        if isinstance(target, str) or target[2] == "call":
            self.calls += 1
        return self._value(reply, arguments, back)

    def _reply(self, key: str) -> dict[str, Any]:
        frame = read_frame(self._descriptor, self._cap)
        if frame is None:
            raise NotPlainError(ENDED)
        reply = from_text(frame)
        if not isinstance(reply, dict) or reply.get("k") != key:
            raise NotPlainError("an answer to another request")
        if "x" in reply:
            raise NotPlainError(str(reply["x"])[:300])
        if "o" in reply:
            raise NotTransferableError(f"the program returned an object: {reply['o']}"[:300])
        return reply

    def _no_more(self) -> None:
        self.gone = "the test asked for more items of an iterator than can cross"
        raise GoneError

    def _handle(self, number: int) -> Handle:
        return Handle(self, number)

    def _value(self, reply: dict[str, Any], arguments: tuple[Any, ...], back: bool) -> Any:
        try:
            if "e" in reply:
                name, text = reply["e"]
                error = _exception(str(name), str(text))
            else:
                find = self._handle if self.handles else None
                decode = Decoder(find, exact=True, more=self._no_more).decode
                value = decode(reply["v"])
                if back:
                    _copy_back(arguments, [decode(argument) for argument in reply["m"]])
                return value
        except OtherTypeError as broken:
            raise NotTransferableError(f"the program returned an object: {broken}"[:300]) from None
        except (NotPlainError, KeyError, TypeError, ValueError) as broken:
            self.gone = f"an answer that cannot be read: {broken}"[:300]
            raise GoneError from None
        raise error


def _exception(name: str, text: str) -> Exception:
    kind = getattr(builtins, name, None)
    # StopIteration would end a loop of the test early, as if all its cases passed.
    if not isinstance(kind, type) or not issubclass(kind, Exception) or issubclass(kind, (StopIteration, Warning)):
        kind = RuntimeError
    if issubclass(kind, StopAsyncIteration):
        kind = RuntimeError
    try:
        return kind(text)
    except TypeError:  # some need more arguments than a text
        return RuntimeError(text)


def _copy_back(arguments: tuple[Any, ...], changed: list[Any]) -> None:
    for old, new in zip(arguments, changed, strict=True):
        if type(old) is not type(new):
            continue
        if isinstance(old, list):
            old[:] = new
        elif isinstance(old, (dict, set)):
            old.clear()
            old.update(new)


class Handle:
    """An object in the candidate's process: it can be called and has attributes, and equals only itself."""

    __slots__ = ("_link", "_number")

    def __init__(self, link: Link, number: int) -> None:
        self._link, self._number = link, number

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._link.call([self._number, name, "get"], (), {}, back=False)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            self._link.call([self._number, name, "set"], (value,), {}, back=False)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._link.call([self._number, "__call__", "call"], arguments, named, back=False)


class Proxy:
    """A function or class of the program."""

    __slots__ = ("_link", "_target")

    def __init__(self, link: Link, target: str | list[Any]) -> None:
        self._link, self._target = link, target

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._link.call(self._target, arguments, named, back=False)

    def in_place(self, *arguments: Any, **named: Any) -> Any:
        """A call whose value the test ignores: its changes to the arguments are copied back."""
        return self._link.call(self._target, arguments, named, back=True)


def run_test(job: Mapping[str, Any], descriptor: int, cap: int) -> dict[str, Any]:
    """{"verdict": "passed" | "failed" | "broken", "reason": ..., "calls": ..., "weak": ...}"""
    link = Link(descriptor, cap)
    weak = False
    try:
        names: dict[str, Any] = {"__name__": "test", "__builtins__": builtins}
        exec(compile(job["setup"], "setup.py", "exec", dont_inherit=True), names)
        test = parse_test(job["test_code"], job["entry_point"], set(names), set(sys.modules))
        weak = test.weak
        verdict, reason = _run(test, job["entry_point"], names, link)
    except BaseException as error:
        verdict, reason = "broken", f"the test cannot be run: {type(error).__name__}: {error}"[:300]
    return {"verdict": verdict, "reason": reason, "calls": link.calls, "weak": weak}


def _run(test: ParsedTest, entry_point: str, names: dict[str, Any], link: Link) -> tuple[str, str]:
    for name in test.modules:
        names[name] = sys.modules[name]
    for name in test.foreign:
        names[name] = Proxy(link, name)
    link.handles = bool(test.foreign)
    candidate = Proxy(link, entry_point)
    names[entry_point.split(".")[0] if "." not in entry_point else "candidate"] = candidate
    try:
        exec(compile(test.tree, "test.py", "exec", dont_inherit=True), names)
        if test.calls_check:
            names["check"](candidate)
    except GoneError:
        pass
    except NotTransferableError as error:
        return "broken", str(error)
    except BaseException as error:
        if not link.gone:
            verdict = "failed" if link.calls else "broken"
            return verdict, f"{type(error).__name__} in line {_line(error)} of the test: {error}"[:300]
    if link.gone:
        return "failed", link.gone
    if not link.calls:
        return "failed", "the test never had an answer from the program"
    return "passed", ""


def _line(error: BaseException) -> int:
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "test.py":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
