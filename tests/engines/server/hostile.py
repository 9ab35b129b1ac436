"""What a server may answer instead of a completion: one way each."""

from __future__ import annotations

import base64
import codecs
import gzip
import json
import time
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import quote

#: Sends something in place of an honest completion.
Answer = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]

KEY = "sk-CANARY-0123456789abcdef"


def send(words: bytes | Callable[[], bytes], code: int = 200, **headers: str) -> Answer:
    """A reply with these bytes, or with those that a function makes; `_` in a header's name stands for `-`."""

    def answer(handler: BaseHTTPRequestHandler, honest: dict[str, Any]) -> None:
        body = words if isinstance(words, bytes) else words()
        handler.send_response(code)
        named = {"Content-Length": str(len(body))} | {name.replace("_", "-"): text for name, text in headers.items()}
        for name, text in named.items():
            handler.send_header(name, text)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def raw(words: bytes) -> Answer:
    """Bytes that are no HTTP."""

    def answer(handler: BaseHTTPRequestHandler, honest: dict[str, Any]) -> None:
        handler.wfile.write(words)
        handler.close_connection = True

    return answer


def stream(piece: bytes, wait: float) -> Answer:
    """That piece again and again."""

    def answer(handler: BaseHTTPRequestHandler, honest: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        end = time.monotonic() + 30
        while time.monotonic() < end:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            handler.wfile.flush()
            time.sleep(wait)

    return answer


def say(code: int = 200, **changes: object) -> Answer:
    """The honest completion with other values in it, by its keys and those of its choice."""

    def answer(handler: BaseHTTPRequestHandler, honest: dict[str, Any]) -> None:
        of_choice = ("text", "finish_reason", "token_ids", "logprobs", "stop_reason")
        choice = honest["choices"][0] | {name: changes[name] for name in of_choice if name in changes}
        told = honest | {"choices": [choice]} | {name: changes[name] for name in changes.keys() - {*of_choice}}
        send(json.dumps(told).encode(), code)(handler, honest)

    return answer


def literally(where: str, text: str) -> Answer:
    """The honest completion with the JSON of one of its values written as `text`."""

    def answer(handler: BaseHTTPRequestHandler, honest: dict[str, Any]) -> None:
        honest["choices"][0][where] = "HERE"
        send(json.dumps(honest).replace('"HERE"', text).encode())(handler, honest)

    return answer


def repeated(times: int) -> Answer:
    return lambda handler, honest: say(choices=honest["choices"] * times)(handler, honest)


def wait(handler: BaseHTTPRequestHandler, honest: dict[str, Any]) -> None:
    time.sleep(20)


def figures(*values: object) -> dict[str, object]:
    return {"token_logprobs": list(values)}


@cache
def bomb() -> bytes:
    """300 MB of zeros. Made when it is first sent, since it takes a second."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(b"\0" * (1 << 20)) for _ in range(300)) + packer.flush()


#: Each costs one request, which is repeated.
COSTS_A_RETRY: Mapping[str, Answer] = {
    **{
        f"choices is {json.dumps(value):.20}": say(choices=value)
        for value in ([], {"0": 1}, ["x"], None, 5, [None], [[]])
    },
    **{f"{times} choices": repeated(times) for times in (0, 2, 100)},
    **{f"usage is {json.dumps(value):.20}": say(usage=value) for value in ([1], "x", 5, True)},
    **{
        f"prompt_tokens is {value!r}": say(usage={"prompt_tokens": value})
        for value in ("31", True, 31.0, -1, [31], {"a": 1}, 1e300)
    },
    **{
        f"ids are {value!r:.25}": say(token_ids=value)
        for value in (
            [10**6, 10**9], [-1], [10**30], ["5"], [[1]], [1.7], [True], [None], [], "5", {"0": 1}, 5, [5] * 500,
        )
    },
    "ids are infinite": literally("token_ids", "[1e999]"),
    "ids are NaN": literally("token_ids", "[NaN]"),
    "ids are of another text": say(token_ids=[5, 5, 5, 5], text="#### 24"),
    "ids without end": say(token_ids=[5] * 200_000),
    **{f"text is {value!r:.20}": say(text=value, token_ids=None) for value in (None, 5, ["x"], {"a": 1}, True)},
    "text without end": say(text="1+1 " * 500_000, token_ids=None),
    "text longer than asked for": say(text="1 + 1 = 2. " * 200, token_ids=None),
    "text holds half a character": literally("text", '"\\ud800 #### 5"'),
    "text is missing": lambda handler, honest: say(choices=[{"finish_reason": "stop"}])(handler, honest),
    **{
        f"finish_reason is {value!r}": say(finish_reason=value)
        for value in (None, ["stop"], "content_filter", 5, {"a": 1}, "", KEY)
    },
    **{
        f"logprobs are {value!r:.40}": say(logprobs=value)
        for value in (
            figures(5.0), figures(1e308), figures("-1"), figures([1]), figures(True), figures(-(10**400)), figures({}),
            {"token_logprobs": 5}, {"token_logprobs": "x"}, {"content": [1, 2]}, {"content": [None]}, {"content": "x"},
            {"content": [{"logprob": "x"}]}, [1], "x", 5, figures(*[-1.0] * 5000),
        )
    },
    "logprobs are NaN": literally("logprobs", '{"token_logprobs": [NaN, NaN]}'),
    "logprobs are -Infinity": literally("logprobs", '{"token_logprobs": [-Infinity]}'),
    **{
        f"stop_reason is {value!r:.20}": say(stop_reason=value)
        for value in ({"a": 1}, "x" * 10**6, [1], 1.5, "unasked")
    },
    "JSON 100,000 deep": send(b"[" * 100_000),
    "JSON 100,000 deep in a choice": send(b'{"choices":' + b"[" * 100_000),
    "a number of 10,000 digits": send(b'{"choices":' + b"9" * 10_000 + b"}"),
    "a key twice": send(b'{"choices":[],"choices":1}'),
    **{f"{words!r} for JSON": send(words) for words in (b"<html>", b"[]", b"null", b"5", b"", b'"x"', b"{", b"true")},
    "UTF-16": send(json.dumps({"choices": []}).encode("utf-16")),
    "bad UTF-8": send(b'{"choices":[{"text":"\xff","finish_reason":"stop"}]}'),
    **{
        f"charset {name} in a 500": send(words, 500, Content_Type=f"text/plain; charset={name}")
        for name, words in {"zlib": b"hello", "punycode": b"a-" * 100_000, "idna": b"x" * 100_000, "nope": b"x"}.items()
    },
    "a 500 of 20 MB": send(b"x " * 10_000_000, 500),
    "a 500 that is 100,000 deep": send(b"[" * 100_000, 500),
    "a gzip bomb": send(bomb, 200, Content_Encoding="gzip"),
    "a gzip bomb in a 500": send(bomb, 500, Content_Encoding="gzip"),
    "a bomb in a bomb": send(lambda: gzip.compress(bomb()), 200, Content_Encoding="gzip, gzip"),
    "broken gzip": send(b"\x1f\x8bxxxx", 200, Content_Encoding="gzip"),
    **{f"Content-Encoding {name}": send(b"xx", 200, Content_Encoding=name) for name in ("br", "zstd", "deflate", "x")},
    "endless and fast": stream(b"x" * (1 << 20), 0),
    "endless drops": stream(b"x", 0.1),
    "endless spaces": stream(b" " * 1000, 0.01),
    "no answer": wait,
    "a length that is too long": send(b"{}", 200, Content_Length="1000000"),
    "a length below 0": raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}"),
    "two lengths": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 2\r\n\r\n{}"),
    "TLS": raw(b"\x16\x03\x01\x00\x00"),
    "nothing": raw(b""),
    "endless headers": raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300_000),
    "a header of 1 MB": raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n{}"),
    "100 Continue for ever": raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 50_000),
    "a carriage return in a header": raw(b"HTTP/1.1 200 OK\r\nA: b\rC: d\r\nContent-Length: 2\r\n\r\n{}"),
    "status 99999": raw(b"HTTP/1.1 99999 OK\r\nContent-Length: 0\r\n\r\n"),
    **{
        f"Retry-After {value}": send(b"busy", 429, Retry_After=value)
        for value in (
            "1e400", "nan", "-5", "99999", "Mon, 01 Jan 0001 00:00:00 +2359", "Fri, 31 Dec 99999 00:00:00 GMT", "x",
            "Wed, 21 Oct 2015 07:28:00", "\u00b2", "9" * 5000,
        )
    },
    "text holds the key": say(text=f"the key is {KEY} #### 12", token_ids=None),
    "text holds the key in base64": say(text=base64.b64encode(KEY.encode()).decode(), token_ids=None),
    "text spells the key": say(text=" ".join(KEY), token_ids=None),
}  # fmt: skip

#: Each ends the run: the same request would be rejected again.
ENDS_THE_RUN: Mapping[str, Answer] = {
    **{
        f"redirect {code}": send(b"", code, Location="http://127.0.0.2:9/v1/completions")
        for code in (301, 302, 303, 307, 308)
    },
    "redirect nowhere": send(b"", 307, Location="http://[x"),
    "status 204": send(b"", 204),
    "404 with terminal commands": send(b"\x1b]52;c;cm0=\x07\x1b[2J<script>\xe2\x80\xae", 404),
    "charset idna in a 400": send(b"x" * 100_000, 400, Content_Type="text/plain; charset=idna"),
    "a 400 that is 100,000 deep": send(b"[" * 100_000, 400),
}

_DATA = KEY.encode()
#: Spellings of the key.
SPELLINGS: Mapping[str, str] = {
    "as it is": KEY,
    "after Bearer": f"Bearer {KEY}",
    "twice": f"bad key {KEY} and {KEY}",
    "at the cut": "x" * 490 + KEY,
    "in capitals": KEY.upper(),
    "backwards": KEY[::-1],
    "in half": f"{KEY[:13]} ... {KEY[13:]}",
    "a part": f"no such key: {KEY[:14]}...",
    "letter by letter": " ".join(KEY),
    "line by line": "\n".join(KEY),
    "with invisible characters": "\u200b".join(KEY),
    "in wide characters": "".join(chr(ord(c) + 0xFEE0) for c in KEY),
    "URL-quoted": quote(KEY, safe=""),
    "wholly URL-quoted": "".join(f"%{byte:02X}" for byte in _DATA),
    "URL-quoted twice": quote("".join(f"%{byte:02x}" for byte in _DATA)),
    "in JSON escapes": "".join(f"\\u{byte:04x}" for byte in _DATA),
    "in JSON escapes twice": "".join(f"\\\\u{byte:04X}" for byte in _DATA),
    "in \\x escapes": "".join(f"\\x{byte:02x}" for byte in _DATA),
    "in octal escapes": "".join(f"\\{byte:03o}" for byte in _DATA),
    "in HTML": "".join(f"&#{byte};" for byte in _DATA),
    "in HTML, in hexadecimal": "".join(f"&#x{byte:x};" for byte in _DATA),
    "in quoted-printable": "".join(f"={byte:02X}" for byte in _DATA),
    "as numbers": str(list(_DATA)),
    "in hexadecimal": _DATA.hex(),
    "in hexadecimal, apart": _DATA.hex(" "),
    "in base64": base64.b64encode(_DATA).decode(),
    "in base64 with a word before": base64.b64encode(b"Bearer " + _DATA).decode(),
    "in base64 for URLs": base64.urlsafe_b64encode(b"x" + _DATA).decode(),
    "in base64 in a URL": quote(base64.b64encode(b"xy" + _DATA).decode(), safe=""),
    "in base32": base64.b32encode(_DATA).decode(),
    "in base85": base64.b85encode(_DATA).decode(),
    "in rot13": codecs.encode(KEY, "rot13"),
}


def reveals(text: str) -> bool:
    """Whether a reader of `text` learns ten characters of the key, in a spelling that needs no program to read."""
    plain = "".join(filter(str.isalnum, text)).casefold()
    key = "".join(filter(str.isalnum, KEY)).casefold()
    return any(key[i : i + 10] in plain for i in range(len(key) - 9))
