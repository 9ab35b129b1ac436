"""What a server sends, read and parsed within bounds: it may send anything, for ever, and in any disguise."""

from __future__ import annotations

import json
from typing import Any, Never

import httpx2

#: Bytes of an error's message that are read; the rest is left unread.
ERROR_BYTES = 1 << 16
#: Bytes of a reply without its tokens, and those that one token may take: its id, its text, log-probabilities.
BASE_BYTES, TOKEN_BYTES = 1 << 20, 1 << 12
#: Codings that are undone; more than one, or another, is none that was asked for.
_CODINGS = ("", "identity", "gzip", "deflate")


class BadReplyError(ValueError):
    """A reply is not what the API promises. The message names what is wrong with it."""


async def read_body(reply: httpx2.Response, limit: int) -> bytes:
    """The body with its compression undone, at most `limit` bytes of it.

    Raises:
        BadReplyError: it is coded in a way that was not asked for.
    """
    coding = reply.headers.get("content-encoding", "").strip().lower()
    if coding not in _CODINGS:
        raise BadReplyError(f"Content-Encoding is {coding!r:.50}")
    parts, size = [], 0
    # Undone piece by piece, so a small body that unfolds to gigabytes ends here as well.
    async for part in reply.aiter_bytes():
        parts.append(part[: limit - size])
        size += len(parts[-1])
        if size >= limit:
            break
    return b"".join(parts)


def parse(data: bytes, limit: int) -> Any:
    """
    Raises:
        BadReplyError: it has `limit` bytes or more, or is not strict JSON.
    """
    if len(data) >= limit:
        raise BadReplyError(f"it has more than {limit:,} bytes")
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse)
    except RecursionError:
        raise BadReplyError("it is nested too deeply") from None
    except ValueError as error:
        raise BadReplyError(f"it is not JSON: {str(error)[:100]}") from None


def error_text(data: bytes) -> str:
    """The message of an error in the API's own form, else the body."""
    text = data.decode("utf-8", errors="replace")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    found = found.get("error", found) if isinstance(found, dict) else found
    found = found.get("message", found) if isinstance(found, dict) else found
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def _refuse(name: str) -> Never:
    raise ValueError(f"{name} is no number")
