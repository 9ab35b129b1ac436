"""Asks a server over HTTP, many things at a time, and asks again what a passing fault swallowed."""

from __future__ import annotations

import asyncio
import email.utils
import random
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2

from selftrain.engines.server.config import ServerConfig
from selftrain.errors import RunError

T = TypeVar("T")

#: Seconds before the second try, doubled with each further one, and what they grow to.
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
#: What a server may ask us to wait at most, in seconds.
LONGEST_ASKED = 600.0
#: Of a server's words an error shows so many characters.
WORDS = 500
#: Parameters that OpenAI does not define.
EXTRAS = ("top_k", "min_p", "repetition_penalty", "return_token_ids")


class UnansweredError(RunError):
    """It was asked as often as allowed."""


class RefusedError(RunError):
    """It says that it will not answer this."""


@dataclass(frozen=True)
class _Passing:
    """A fault that may be gone next time, and the seconds a server asks us to wait."""

    what: str
    wait: float | None = None


class Client:
    """One server. Its requests live in a thread of their own, so they go on while answers are judged and written down.

    Args:
        base_url: with the /v1.
        death: why nothing can answer any more; nothing where something may.
        proxies: whether those of the environment are used.
    """

    def __init__(self, base_url: str, server: ServerConfig, death: Callable[[], str], *, proxies: bool) -> None:
        self.base_url, self._server, self._death = base_url, server, death
        #: Struck out of every error.
        self._key = key = server.key()
        self._slots = asyncio.Semaphore(server.max_concurrency)
        # Of its own: the jitter must not move anybody else's chance.
        self._chance = random.Random()
        # The time limit is one for the whole of a request, in `_try`: a body may come in drops for ever.
        self._http = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {}, timeout=None, trust_env=proxies,
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=server.max_concurrency),
        )  # fmt: skip
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="server client", daemon=True)
        self._thread.start()

    def models(self, tries: int) -> list[str]:
        """The names that it can be asked for.

        Raises:
            UnansweredError, RefusedError: it gave no list.
        """
        return self._begin(self._ask("GET", "/models", None, _names, tries)).result()

    def complete(self, body: dict[str, Any], read: Callable[[Any], T], tries: int) -> T:
        """One completion.

        Args:
            read: makes an answer of its JSON; ValueError, KeyError, TypeError and IndexError where it is none.

        Raises:
            UnansweredError, RefusedError: it gave none.
        """
        return self._begin(self._ask("POST", "/completions", body, read, tries)).result()

    def complete_all(self, bodies: Sequence[dict[str, Any]], read: Callable[[Any], T]) -> Future[list[T]]:
        """Several, begun and not waited for; to be cancelled where nobody wants them any more."""
        return self._begin(self._complete_all(bodies, read))

    def close(self) -> None:
        async def end() -> None:
            current = asyncio.current_task()
            tasks = [task for task in asyncio.all_tasks() if task is not current]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._http.aclose()

        self._begin(end()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _begin(self, what: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(what, self._loop)

    async def _complete_all(self, bodies: Sequence[dict[str, Any]], read: Callable[[Any], T]) -> list[T]:
        tries = 1 + self._server.max_retries
        try:
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(self._ask("POST", "/completions", body, read, tries)) for body in bodies]
        except BaseExceptionGroup as failures:
            # Once one of them has failed nobody can use the others.
            raise failures.exceptions[0] from None
        return [one.result() for one in asked]

    async def _ask(self, method: str, path: str, body: Any, read: Callable[[Any], T], tries: int) -> T:
        fault = _Passing("it was not asked")
        for number in range(tries):
            if number:
                await asyncio.sleep(self._wait(fault, number))
            # Whoever waits leaves its place to others.
            async with self._slots:
                found = await self._try(method, path, body, read)
            if not isinstance(found, _Passing):
                return found
            fault = found
            if death := self._death():
                raise self._unanswered(f"the server at {self.base_url} is gone: {death}")
        raise self._unanswered(f"{self.base_url}{path} gave no answer in {tries} tries; the last came to: {fault.what}")

    def _wait(self, fault: _Passing, number: int) -> float:
        """As long as the server asks for, else twice as long each time; never all at the same moment."""
        ours = FIRST_WAIT if fault.wait is not None else min(LONGEST_WAIT, FIRST_WAIT * 2 ** (number - 1))
        return (fault.wait or 0.0) + self._chance.uniform(0.5, 1.0) * ours

    async def _try(self, method: str, path: str, body: Any, read: Callable[[Any], T]) -> T | _Passing:
        limit = self._server.request_timeout
        try:
            async with asyncio.timeout(limit):
                reply = await self._http.request(method, self.base_url.rstrip("/") + path, json=body)
        except TimeoutError:
            return _Passing(f"nothing whole within request_timeout, {limit:g} s")
        except httpx2.RequestError as error:
            return _Passing(f"{type(error).__name__}: {error}")
        if reply.status_code in (408, 429) or reply.status_code >= 500:
            return _Passing(f"{reply.status_code}, {self._words(reply)}", _asked_to_wait(reply))
        if reply.status_code != 200:
            raise self._refused(path, reply.status_code, self._words(reply))
        try:
            return read(reply.json())
        except (ValueError, KeyError, TypeError, IndexError) as error:
            return _Passing(f"no answer of this API ({type(error).__name__}: {error}): {self._words(reply)}")

    def _unanswered(self, found: str) -> UnansweredError:
        return UnansweredError(
            self._without_key(found),
            "it is down, overloaded, or takes longer than a request may",
            "see to the server, then go on with `selftrain resume RUN`, which asks nothing again that is recorded; "
            "--set base_url, max_concurrency, request_timeout or max_retries where that helps",
        )

    def _refused(self, path: str, status: int, words: str) -> RefusedError:
        advice = "its words say what it would take"
        if status in (401, 403):
            advice = f"export its key as {self._server.api_key_env}, or give another variable's name as --api_key_env"
        elif status in (301, 302, 307, 308, 404, 405):
            advice = "base_url is what stands before /models, mostly ending in /v1; server_model is a name it knows"
        elif self._server.server_extras and any(name in words for name in EXTRAS):
            advice = "send it what OpenAI defines only: --server_extras false, with --top_k 0 where the method has one"
        found = f"{self.base_url}{path} refuses with {status}: {words}"
        return RefusedError(self._without_key(found), "to ask it the same again would not help", advice)

    def _words(self, reply: httpx2.Response) -> str:
        """What it says, on one line: of the API's own form of an error the message, else the body."""
        try:
            told = reply.json()
            told = told.get("error", told)
            text = str(told.get("message", told)) if isinstance(told, dict) else str(told)
        except (ValueError, AttributeError):
            text = reply.text
        # The key first: a cut could else leave a part of it.
        return repr(" ".join(self._without_key(text).split())[:WORDS])

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text


def _names(reply: Any) -> list[str]:
    return [str(one["id"]) for one in reply["data"]]


def _asked_to_wait(reply: httpx2.Response) -> float | None:
    """Retry-After, as seconds or as a date."""
    told = reply.headers.get("retry-after")
    if told is None:
        return None
    try:
        seconds = float(told)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(told).timestamp() - time.time()
        except ValueError:
            return None
    return min(seconds, LONGEST_ASKED) if seconds > 0 else 0.0  # which is no for a NaN
